"""The benchmark of one-shot training at toy size, on made-up alphabets."""

import pytest

from tests.unit.benchmarks.scripts import last_line

CODE = """
import sys
from pathlib import Path
sys.path[:0] = ["benchmarks", "pipelines"]
import _bench, _ma
_bench.RESULTS = Path(sys.argv[1])
import oneshot_time
from twinfolio.data.omniglot_store import omniglot_store
from twinfolio.params.file import parse_params
from twinfolio.sample.characters import drawn_alphabets
workspace = Path(sys.argv[2])
sides = drawn_alphabets(3, 1, 20, 0)
validation = [sides["background"].alphabets[0]]
for recipe, size in (("ours", 20), ("paper", 105)):
    omniglot_store(workspace / _ma.STORES[recipe], sides, validation, size=size, poses=1)
params = parse_params({
    "siamese": {"trunk": "lu_conv", "trunk_options": {"depth": 2, "kernels": 8}, "steps_per_epoch": 5, "epochs": 50,
                "classes_per_batch": 6, "images_per_class": 2, "patience": 50, "augmentation": {"crop": None}},
    "trainer": {"accelerator": "cpu"}})
curves = {name: oneshot_time.measure(workspace, params, name, 1.0, 2) for name in ("small-ours-0", "sircnn-paper-0")}
for curve in curves.values():
    assert len(curve.rows) < 50 and curve.rows[-1][0] < 20, "it was cut off"
print(__import__("json").dumps({name: [curve.pairs_per_s, curve.rows[-1][1]] for name, curve in curves.items()}))
"""


@pytest.mark.slow
def test_both_recipes_are_cut_off_by_the_clock_and_their_pairs_counted(tmp_path):
    found = last_line(CODE, tmp_path / "results.jsonl", tmp_path / "workspace")
    assert set(found) == {"small-ours-0", "sircnn-paper-0"}
    assert all(pairs > 0 and 0 <= accuracy <= 1 for pairs, accuracy in found.values())
