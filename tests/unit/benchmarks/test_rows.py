"""Rows that are found again, and differences paired over groups."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.benchmarks.scripts import benchmark
from twinfolio.evaluation.significance import paired_difference

rows = benchmark("_rows")


def queries(seed, n=12):
    draws = np.random.default_rng(seed)
    names, pages = [f"q{i}" for i in range(n)], [f"p{i // 3}" for i in range(n)]
    return pd.DataFrame({"query": names, "group": pages, "AP": draws.random(n), "P@1": draws.integers(0, 2, n)})


def test_a_row_is_found_again_by_what_made_it_and_the_newest_counts(tmp_path):
    file = tmp_path / "rows.jsonl"
    assert rows.read_rows(file) == []
    for value in (0.1, 0.2):
        rows.append_row(file, {"folder": "a", "seed": 0, "code": "x", "mAP": value})
    rows.append_row(file, {"folder": "a", "seed": 0, "code": "y", "mAP": 0.3})
    found = rows.read_rows(file)
    assert rows.find_row(found, {"folder": "a", "code": "x"})["mAP"] == 0.2
    assert rows.find_row(found, {"folder": "a", "code": "z"}) is None
    assert [row["mAP"] for row in rows.newest_rows(found, ("folder", "code"))] == [0.2, 0.3]


def test_numbers_are_written_short_and_what_is_not_finite_as_null(tmp_path):
    file = tmp_path / "rows.jsonl"
    rows.append_row(file, {"a": 1 / 3, "b": [float("nan"), np.float32(2)], "c": {"d": np.int64(3)}, "e": "é"})
    assert rows.read_rows(file) == [{"a": 0.33333, "b": [None, 2.0], "c": {"d": 3}, "e": "é"}]


def test_differences_are_paired_by_query_whatever_the_order():
    ours, other = queries(0), queries(1)
    found = rows.paired_over_groups(ours, {"other": other.sample(frac=1, random_state=0), "itself": ours})
    assert found["itself"] == {"mAP": [0, 0, 0], "P@1": [0, 0, 0]}
    assert found["other"]["mAP"] == pytest.approx([*paired_difference(ours["AP"], other["AP"], ours["group"])])
    assert found["other"]["P@1"][0] == pytest.approx(ours["P@1"].mean() - other["P@1"].mean())


def test_other_queries_are_not_compared():
    with pytest.raises(ValueError, match="peer: other queries"):
        rows.paired_over_groups(queries(0), {"peer": queries(0, n=9)})
    renamed = queries(0).replace({"query": {"q0": "q99"}})
    with pytest.raises(ValueError, match="peer: other queries"):
        rows.paired_over_groups(queries(0), {"peer": renamed})


def test_numbers_with_their_intervals_as_the_tables_have_them():
    assert rows.with_interval([0.9123, 0.88, 1.0]) == ".912 (.880 to 1.000)"
    assert rows.with_interval([-0.0104, -0.02, 0.0], signed=True) == "-.010 (-.020 to +.000)"
    assert rows.with_interval([0.5, None, None]) == ".500"
