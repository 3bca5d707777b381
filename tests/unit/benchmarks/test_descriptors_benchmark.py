"""The benchmark of descriptors at toy size: every row is there, and gains are those of its own sides."""

import pytest

from tests.unit.benchmarks.scripts import last_line

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, "benchmarks")
import _bench
_bench.RESULTS = Path(sys.argv.pop(1))
import descriptors
descriptors.POINTS, descriptors.CANDIDATES = 60, 12
descriptors.WORDS = {"bow": 20, "vlad": 4}
descriptors.main()
"""
LOCAL = ("orb", "rootsift", "surf")
OTHERS = ("ahash", "dhash", "phash", "whash", "colour_histogram")


@pytest.mark.slow
def test_every_descriptor_is_timed_on_one_thread_and_two_and_both_rankings_agree(tmp_path):
    row = last_line(RUN, tmp_path / "results.jsonl", "--images", 40, "--rows", 300, "--repeats", 1)
    sides = row["sides"]
    for name in (*LOCAL, *OTHERS):
        assert sides[f"{name}_gain"] == pytest.approx(sides[f"{name}_per_s_2"] / sides[f"{name}_per_s_1"], rel=1e-2)
    for name in ("bow", "vlad"):
        assert sides[f"{name}_gain"] == pytest.approx(sides[f"{name}_naive_ms"] / sides[f"{name}_index_ms"], rel=1e-2)
    assert sides["rerank_top100_ms"] > 0
    assert row["value"] == min(sides[f"{name}_gain"] for name in LOCAL)
    rankings = min(sides["bow_gain"], sides["vlad_gain"])
    assert row["ok"] == (row["value"] >= row["bar"] and rankings >= sides["ranking_bar"])
