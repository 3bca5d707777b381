import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from twinfolio.errors import DataError
from twinfolio.reporting.leak_study import HEADLINES, TABLED, Side, leak_study_table, read_side, write_leak_study

SPLIT = {"images": 90, "groups": 30, "train": 60, "val": 15, "test": 15, "classes": 3}


def side(level, seed=0, groups=12, per_group=5, absent=()):
    """Queries around a level; groups differ, so that their number makes the interval."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), per_group)
    shift = rng.normal(0, 0.05, groups)[group]
    chance = np.clip(level + shift, 0, 1)
    frame = pd.DataFrame({"query": [f"q{i}" for i in range(len(group))], "group": [f"p{g}" for g in group]})
    frame["AP"] = np.clip(chance + rng.normal(0, 0.02, len(group)), 0, 1)
    for name in ("P@1", "classified"):
        frame[name] = (rng.random(len(group)) < chance).astype(float)
    metrics = {}
    for name, key in TABLED.items():
        value = float(frame[HEADLINES[name]].mean()) if name in HEADLINES else level
        metrics |= {key: value, f"{key}_low": value - 0.04, f"{key}_high": value + 0.04}
    return Side({k: v for k, v in metrics.items() if not k.startswith(tuple(absent))}, SPLIT, frame)


BLOCKS, RANDOM = side(0.5), side(0.8, seed=1)


def test_every_headline_is_a_row_with_both_sides_and_their_difference():
    table = leak_study_table(BLOCKS, RANDOM, n=100).set_index("number")
    assert list(table.index) == list(TABLED)
    for name, key in TABLED.items():
        for column, of in (("by group", BLOCKS), ("at random", RANDOM)):
            for end in ("", "_low", "_high"):
                assert table.loc[name, f"{column}{end}"] == of.metrics[f"{key}{end}"]
    np.testing.assert_allclose(table["gap"], table["at random"] - table["by group"])


def test_gaps_of_known_queries_have_an_interval_of_two_independent_samples():
    table = leak_study_table(BLOCKS, RANDOM, n=400).set_index("number")
    for name in TABLED:
        row = table.loc[name]
        assert np.isnan(row["gap_low"]) == np.isnan(row["gap_high"]) == (name not in HEADLINES)
    ap = table.loc["retrieval mAP"]
    assert 0.2 < ap["gap_low"] < ap["gap"] < ap["gap_high"] < 0.4
    few = leak_study_table(side(0.5, groups=4), side(0.8, seed=1, groups=4), n=400).set_index("number")
    width = few.loc["retrieval top-1", "gap_high"] - few.loc["retrieval top-1", "gap_low"]
    assert width > table.loc["retrieval top-1", "gap_high"] - table.loc["retrieval top-1", "gap_low"]


def test_a_query_without_an_answer_is_in_no_mean():
    holes = side(0.5)
    holes.per_query.loc[::4, "AP"] = np.nan
    gap = leak_study_table(holes, RANDOM, n=100).set_index("number").loc["retrieval mAP", "gap"]
    assert gap == pytest.approx(RANDOM.per_query["AP"].mean() - holes.per_query["AP"].mean())


def test_equal_sides_have_no_gap():
    table = leak_study_table(BLOCKS, BLOCKS, n=100).set_index("number")
    np.testing.assert_allclose(table["gap"], 0)
    assert table.loc["retrieval mAP", "gap_low"] < 0 < table.loc["retrieval mAP", "gap_high"]


def test_two_writings_agree_byte_by_byte_and_the_figure_opens(tmp_path):
    for place in ("a", "b"):
        write_leak_study(BLOCKS, RANDOM, tmp_path / place, n=100)
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / place).rglob("*") if p.is_file()} for place in ("a", "b")
    )
    assert first == second
    assert set(first) == {"table.csv", "metrics.json", "leak_gap.png", "report.html"}
    width, height = Image.open(tmp_path / "a" / "figures" / "leak_gap.png").size
    assert min(width, height) > 300


def test_metrics_have_three_numbers_a_headline(tmp_path):
    write_leak_study(BLOCKS, RANDOM, tmp_path, n=100)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert len(metrics) == 3 * len(TABLED)
    assert metrics["leak/retrieval_mAP/gap"] == pytest.approx(
        metrics["leak/retrieval_mAP/at_random"] - metrics["leak/retrieval_mAP/by_group"], abs=2e-6
    )
    assert "leak/retrieval_mAP_own_page_in_the_archive/at_random" in metrics


def test_the_report_has_gap_splits_and_what_an_absent_interval_means(tmp_path):
    write_leak_study(BLOCKS, RANDOM, tmp_path, n=100)
    html = (tmp_path / "report.html").read_text()
    table = pd.read_csv(tmp_path / "table.csv")
    assert f"{table['gap'][0]:.3f}" in html
    for text in ("mAP by group", "mAP at random", "resampling each side", "plain difference", "<td>90</td>"):
        assert text in html


def test_a_number_that_one_side_does_not_have_stays_empty(tmp_path):
    poor = side(0.5, absent=("test/classification/macro_f1",))
    write_leak_study(poor, RANDOM, tmp_path, n=100)
    row = pd.read_csv(tmp_path / "table.csv", index_col="number").loc["classification macro F1"]
    assert np.isnan(row["by group"])
    assert np.isnan(row["gap"])
    assert row["at random"] == 0.8
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert "leak/classification_macro_F1/by_group" not in metrics
    assert "nan" not in (tmp_path / "report.html").read_text().split("data:image")[0]


def test_a_side_of_one_group_gives_a_gap_and_no_interval(tmp_path):
    """One group cannot be resampled: no interval, and no claim of one."""
    lone = side(0.5, groups=1)
    write_leak_study(lone, RANDOM, tmp_path, n=100)
    row = pd.read_csv(tmp_path / "table.csv", index_col="number").loc["retrieval mAP"]
    assert row["gap"] > 0.1
    assert np.isnan([row["gap_low"], row["gap_high"]]).all()


def test_a_side_is_read_as_retrain_kept_it(tmp_path):
    for stage, values in (("evaluate", BLOCKS.metrics), ("split", BLOCKS.split)):
        (tmp_path / "reports" / stage).mkdir(parents=True)
        (tmp_path / "reports" / stage / "metrics.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"per_query\.csv: missing"):
        read_side(tmp_path)
    BLOCKS.per_query.to_csv(tmp_path / "reports" / "evaluate" / "per_query.csv", index=False)
    found = read_side(tmp_path)
    assert (found.metrics, found.split) == (BLOCKS.metrics, BLOCKS.split)
    pd.testing.assert_frame_equal(found.per_query, BLOCKS.per_query)
