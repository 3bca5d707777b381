"""The benchmarks of the search at toy size: what they count, and that both sides run."""

import json

import numpy as np
import pytest

from tests.unit.benchmarks.scripts import last_line

TOY = """
import sys
sys.path.insert(0, "benchmarks")
from pathlib import Path
import _bench
_bench.RESULTS = Path(sys.argv[1])
import _grid
from twinfolio.data.sources.digits import Digits, load_digits
images, labels = load_digits("sklearn").train
toy = Digits((images[:200], labels[:200]), (images[200:260], labels[200:260])), "toy"
_grid.digits = lambda: toy
"""
GRID_EPOCH = """
import grid_epoch
grid_epoch.run(Path(sys.argv[2]), epochs=1, seeds=1)
"""
SEARCH_WORKERS = """
import search_workers
sys.argv[1:] = ["--trials", "2", "--epochs", "1", "--images", "120"]
search_workers.main()
"""
ASHA = """
import json, asha, numpy as np
curves = np.array(json.loads(sys.argv[3]))
print(json.dumps(asha.asha(Path(sys.argv[2]), curves, seed=0)))
"""


def run_toy(code, *arguments):
    return last_line(TOY + code, *arguments, OMP_NUM_THREADS="1")


@pytest.mark.slow
def test_every_cell_is_timed_on_both_sides(tmp_path):
    row = run_toy(GRID_EPOCH, tmp_path / "results.jsonl", tmp_path)
    sides = row["sides"]
    assert {f"minutes_{depth}x{kernels}" for depth in (1, 2, 3) for kernels in (8, 16, 32)} <= set(sides)
    assert row["value"] == pytest.approx(sides["ours_s"] / sides["bare_s"], rel=2e-3)
    assert sides["bare_s"] > 0


@pytest.mark.slow
def test_two_workers_find_what_one_finds(tmp_path):
    row = run_toy(SEARCH_WORKERS, tmp_path / "results.jsonl")
    assert row["sides"]["same_values"] is True
    assert row["sides"]["trials"] == 2
    assert row["ok"] is False  # its trials last less than half a minute, so they prove nothing


@pytest.mark.slow
def test_asha_counts_what_it_reads_and_finds_the_best_of_clear_curves(tmp_path):
    ends = np.linspace(0.1, 0.9, 27)
    curves = ends[:, None] * np.linspace(0.5, 1.0, 27)
    epochs, best = run_toy(ASHA, tmp_path / "results.jsonl", tmp_path, json.dumps(curves.tolist()))
    assert best == 26
    assert 26 * 3 + 27 <= epochs < curves.size / 2  # three epochs of each, all of the best's, and no more than half
