import logging
from dataclasses import replace

import numpy as np
import pytest

from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.evaluation.verification import check_identity

HOW = Resampling(n=100, seed=0)


@pytest.fixture
def compare(store_root, tmp_path):
    def run(systems, distances=("l1", "cosine")):
        return compare_systems(systems, distances, store_root, tmp_path / "embeddings", PairSettings(), HOW)

    return run


def test_test_is_never_opened(compare, systems, store_root):
    assert not (store_root / "test").exists()
    assert compare(systems).champion == "cosine"


def test_the_champion_has_the_highest_validation_map_among_distances_alone(compare, systems):
    comparison = compare(systems)
    values = {name: judged.retrieval_values["mAP"] for name, judged in comparison.judged.items()}
    assert values["cosine"] > values["l1"]
    assert comparison.champion == "cosine"
    assert compare(systems, ["l1"]).champion == "l1"


def test_every_system_gets_a_threshold_and_embeddings(compare, systems, tmp_path):
    comparison = compare(systems)
    assert set(comparison.thresholds) == {"l1", "cosine", "colour_histogram"}
    assert {p.stem for p in (tmp_path / "embeddings").iterdir()} == set(comparison.thresholds)


def test_two_equal_systems_are_a_tie_and_it_is_said(compare, systems, caplog):
    caplog.set_level(logging.INFO, logger="twinfolio")
    logging.getLogger("twinfolio").propagate = True
    twins = [replace(systems[1], name="l1"), systems[1]]
    comparison = compare(twins)
    assert comparison.tie
    assert comparison.champion == "l1"
    assert "a tie with cosine" in caplog.text


def test_a_clear_lead_is_no_tie(compare, systems):
    comparison = compare(systems)
    assert comparison.lead.low > 0
    assert not comparison.tie


def test_pairs_are_balanced_cross_split_and_never_of_one_group(compare, systems):
    pairs = compare(systems).pairs
    assert pairs["label"].mean() == 0.5
    assert (pairs["query"].str.extract(r"p(\d)")[0].astype(int) >= 3).all()
    assert (pairs["archive"].str.extract(r"p(\d)")[0].astype(int) < 3).all()
    same = pairs["query"].str.split("/").str[0] == pairs["archive"].str.split("/").str[0]
    assert (same.astype(int) == pairs["label"]).all()


def test_the_table_has_a_row_a_distance_whose_shares_follow_from_its_counts(compare, systems):
    table = compare(systems).table()
    assert list(table["distance"]) == ["l1", "cosine"]
    for _, row in table.iterrows():
        counts = {key: row[key.upper()] for key in ("tp", "fp", "fn", "tn")}
        check_identity(counts | {key: row[key] for key in ("accuracy", "precision", "recall", "f1", "prevalence")})
        for key in ("accuracy", "f1", "pair_ap", "mAP"):
            assert row[f"{key}_low"] <= row[key] <= row[f"{key}_high"]


def test_lent_images_are_marked_and_can_be_left_out(compare, systems):
    comparison = compare(systems)
    per_query = comparison.per_query()
    assert set(per_query.loc[per_query["within_group"] == 1, "label"]) == {"ba"}
    kept = per_query.loc[per_query["within_group"] == 0, "l1"]
    assert comparison.without_within_group("l1") == pytest.approx(kept.mean())
    assert not np.isclose(kept.mean(), per_query["l1"].mean())


def test_the_order_of_systems_changes_no_number(compare, systems):
    first, second = compare(systems), compare(systems[::-1])
    assert first.judged["l1"].verification_values == second.judged["l1"].verification_values
    assert first.champion == second.champion
