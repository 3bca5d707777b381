"""The benchmarks of ranking at toy size: both sides compute the same, and every demand is in the row."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
RUN = """
import sys
sys.path.insert(0, "benchmarks")
from pathlib import Path
import _bench
_bench.RESULTS = Path(sys.argv.pop(1))
import {name}
{name}.main()
"""
SAME = """
import sys
sys.path.insert(0, "benchmarks")
import numpy as np, rank_one
from _ranking import DIM, fusion_state, pooled
from twinfolio.retrieval.heads import build_scorer
gallery, query = pooled(150, DIM, seed=1), pooled(1, DIM, seed=2)[0]
scorer = build_scorer("fusion", "cosine", fusion_state(), gallery)
for other in (rank_one.Blocked(gallery, fusion_state(), 64), rank_one.AsWritten(gallery, fusion_state())):
    rank_one.agree(scorer, other, query)
    other.gallery = other.gallery + 1
    try:
        rank_one.agree(scorer, other, query)
    except RuntimeError:
        continue
    raise SystemExit("another gallery went unnoticed")
print("{}")
"""


def run(code, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_competitors_compute_the_same_head():
    run(SAME)


@pytest.mark.slow
def test_a_batch_is_measured_against_the_product_and_against_single_queries(tmp_path):
    row = run(RUN.format(name="rank_batch"), tmp_path / "results.jsonl", "--rows", "300", "--repeats", "2")
    sides = row["sides"]
    assert sides["fusion_share_1t"] == pytest.approx(sides["fusion_gflops_1t"] / sides["product_gflops_1t"], rel=1e-2)
    assert row["ok"] == (row["value"] >= row["bar"] and all(
        value >= sides["batch_bar"] for name, value in sides.items() if "_gain_" in name
    ))  # fmt: skip


@pytest.mark.slow
def test_a_table_of_backends_has_recall_memory_and_speed_of_each(tmp_path):
    row = run(RUN.format(name="index_million"), tmp_path / "results.jsonl", "--n", "3000")
    sides = row["sides"]
    assert sides["exact_recall"] == 1
    for name in ("hnsw", "ivfpq"):
        assert 0.9 <= sides[f"{name}_recall"] <= 1
        assert np.all([sides[f"{name}_{key}"] > 0 for key in ("build_s", "index_mib", "batch_per_s", "ask_peak_mib")])
    assert sides["ivfpq_index_mib"] < sides["hnsw_index_mib"]
