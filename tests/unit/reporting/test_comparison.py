import json
import logging
from dataclasses import replace

import pandas as pd
import pytest

from tests.unit.assessment import conftest as tiny
from twinfolio.assessment.champion import read_champion
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.reporting.comparison import metric_name, within_group_notes, write_comparison

TRAININGS = {"classify": {"best_epoch": 4, "epochs_run": 7, "steps": 175, "capped": 0, "kept_share": 1.0,
                          "val_start": 0.4, "val_end": 0.7, "val/classification/macro_f1": 0.7}}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("comparison")
    tiny.write_split(root / "store" / "train", range(3), seed=1)
    tiny.write_split(root / "store" / "val", range(3, 5), lent=("ba",), seed=2)
    tiny.write_info(root / "store")
    how, systems = Resampling(n=100), tiny.make_systems()
    comparison = compare_systems(systems, ["l1", "cosine"], root / "store", root / "e", PairSettings(), how)
    for place in ("a", "b"):
        write_comparison(comparison, "f1", TRAININGS, root / place / "out", root / place / "report")
    return comparison, root


def test_two_writings_agree_byte_by_byte(written):
    _, folder = written
    first, second = (
        {p.relative_to(folder / place): p.read_bytes() for p in (folder / place).rglob("*") if p.is_file()}
        for place in ("a", "b")
    )
    assert first == second
    assert {p.name for p in first} >= {
        "table.csv",
        "tests.csv",
        "metrics.json",
        "champion.json",
        "pairs.csv",
        "roc_pr.png",
    }


def test_the_headline_key_is_the_champions_and_lies_in_its_interval(written):
    comparison, folder = written
    metrics = json.loads((folder / "a/report/metrics.json").read_text())
    table = pd.read_csv(folder / "a/report/table.csv").set_index("distance")
    assert metrics["val/retrieval/mAP"] == pytest.approx(table.loc[comparison.champion, "mAP"])
    assert metrics["val/retrieval/mAP_low"] <= metrics["val/retrieval/mAP"] <= metrics["val/retrieval/mAP_high"]
    assert metrics["val/retrieval_colour_histogram/mAP"] > 0
    assert all(key.count("/") == 2 and key.startswith("val/") for key in metrics)


def test_every_system_has_its_values_of_each_query(written):
    comparison, folder = written
    table = pd.read_csv(folder / "a/report/per_query.csv")
    assert table["query"].tolist() == comparison.queries.items.ids.tolist()
    for name, judged in comparison.judged.items():
        for column, metric in ((f"AP_{name}", "mAP"), (f"P@1_{name}", "P@1")):
            assert table[column].mean() == pytest.approx(judged.retrieval_values[metric], abs=1e-5)
    for measure in ("AP", "P@1"):
        assert table[measure].tolist() == table[f"{measure}_{comparison.champion}"].tolist()


def test_thresholds_survive_the_file(written):
    comparison, folder = written
    read = read_champion(folder / "a/out").thresholds
    assert read == pytest.approx(comparison.thresholds, abs=1e-6)


def test_lent_images_and_the_verdict_are_in_the_report(written):
    comparison, folder = written
    html = (folder / "a/report/report.html").read_text()
    assert "6 of 24 validation images" in html
    assert f"{comparison.champion} leads l1" in html


def test_the_first_screen_names_the_champion_and_all_candidates(written):
    _, folder = written
    html = (folder / "a/report/report.html").read_text()
    assert "Comparison of systems: cosine" in html
    assert "cosine is the champion" in html
    assert "ahead of the best other single system, l1" in html
    table = pd.read_csv(folder / "a/report/candidates.csv")
    assert table["system"].tolist() == ["cosine", "l1"]
    assert table["champion_lead"].isna().tolist() == [True, False]
    assert table.loc[1, "champion_lead"] == pytest.approx(table.loc[0, "mAP"] - table.loc[1, "mAP"], abs=2e-6)


def test_what_training_did_not_bring_is_said_first_and_logged(written, tmp_path, caplog):
    comparison, _ = written
    logging.getLogger("twinfolio").propagate = True
    judged = comparison.judged | {"colour_histogram": comparison.judged["cosine"]}
    write_comparison(replace(comparison, judged=judged), "f1", TRAININGS, tmp_path / "out", tmp_path / "report")
    (note,) = json.loads((tmp_path / "out/champion.json").read_text())["notes"]
    assert "training shows no gain over the colour histogram" in note
    html = (tmp_path / "report/report.html").read_text()
    assert html.index("training shows no gain") < html.index("<h2>")
    assert note in [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_joined_systems_metric_has_no_sign_that_mlflow_refuses():
    assert metric_name("l2+vlad_rootsift") == "l2_vlad_rootsift"


def test_no_caution_where_nothing_was_lent():
    assert within_group_notes(0, 10, 0.5, 0.5) == []
