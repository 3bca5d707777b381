"""Both benchmarks of training at toy size on the CPU, in a process in which the tracking stack cannot be imported."""

import pytest

from tests.unit.benchmarks.scripts import last_line

BLOCKER = """
import sys
BLOCKED = {"mlflow", "dvc", "faiss", "albumentations"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not to be imported here")
sys.meta_path.insert(0, Blocker())
sys.path.insert(0, "benchmarks")
import json
from pathlib import Path
import _bench
_bench.RESULTS = Path(sys.argv[1])
"""

ALL_PAIRS = """
import all_pairs, cv2, numpy as np, torch
left, right = all_pairs.sampled_pairs(16)
labels = torch.arange(16) // 4
assert sorted(torch.cat([left, right]).tolist()) == list(range(16)), "every image is in one pair"
assert (labels[left] == labels[right]).tolist() == [True] * 4 + [False] * 4
folder, draws = Path(sys.argv[2]), np.random.default_rng(0)
for label in range(4):
    (folder / f"c{label}").mkdir(parents=True)
    for page in range(10):
        image = draws.normal(90 + 25 * label, 20, (64, 64, 3)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"c{label}" / f"{page}.jpg"), image)
all_pairs.run(folder, all_pairs.Settings(
    trunk="test_resnet", weights="none", size=64, crop=48, seconds=0.2, checks=2, seeds=2, archive=16))
"""

VGG19_GPU = """
import vgg19_gpu
settings = vgg19_gpu.Settings(
    trunk="test_resnet", images=96, classes=16, size=32, epochs=2, accelerator="cpu", precision="32")
vgg19_gpu.report(settings, vgg19_gpu.measure(settings))
"""


def run_blocked(code, *arguments):
    return last_line(BLOCKER + code, *arguments)


@pytest.mark.slow
def test_both_sides_of_all_pairs_train_without_the_tracking_stack(tmp_path):
    row = run_blocked(ALL_PAIRS, tmp_path / "results.jsonl", tmp_path / "data")
    assert row["name"] == "all_pairs"
    sides = row["sides"]
    assert sides["all_pairs_pairs_per_s"] > sides["two_tower_pairs_per_s"] > 0
    assert 0 < sides["two_tower_ap"] <= 1
    assert 0 < sides["all_pairs_ap"] <= 1


@pytest.mark.slow
def test_the_gpu_benchmark_measures_both_sides_of_three_paths_without_the_tracking_stack(tmp_path):
    row = run_blocked(VGG19_GPU, tmp_path / "results.jsonl")
    for path in ("classify", "siamese", "embed"):
        assert row["sides"][f"{path}_store_images_per_s"] > 0
        assert row["sides"][f"{path}_device_images_per_s"] > 0
    assert row["sides"]["epochs_measured_s"] > 0


@pytest.mark.slow
def test_without_a_gpu_the_gpu_benchmark_says_so_and_is_neither_met_nor_missed(tmp_path):
    row = run_blocked("import vgg19_gpu; sys.argv[1:] = []; vgg19_gpu.main()", tmp_path / "results.jsonl")
    assert row["ok"] is None
    assert not (tmp_path / "results.jsonl").exists()
