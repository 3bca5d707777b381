"""What every training stage promises: two processes, and a kill -9 that changes nothing."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.data.judged_streets import write_streets
from tests.unit.training.tiny_store import write_store

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("train_once.py")
NAMES = {
    "classifier": "val/classification/macro_f1",
    "siamese": "val/retrieval/mAP",
    "pairs": "val/judged/closeness",
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("promises")
    # 15 validation images: two devices cannot share them evenly
    store = write_store(root / "store", train=9, val=5, classes=3)
    return {"classifier": store, "siamese": store, "pairs": write_streets(root / "judged")}


def start(job, store, folder, devices=1, pause=0.0):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, SCRIPT, job, store, folder / "work", folder / "out.jsonl", devices, pause]
    return subprocess.Popen([*map(str, command)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process, folder):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-4000:]
    lines = (folder / "out.jsonl").read_text().splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


@pytest.mark.parametrize("job", NAMES)
def test_two_processes_train_validate_every_image_once_and_write_once(job, stores, tmp_path):
    metrics, history = finish(start(job, stores[job], tmp_path, devices=2), tmp_path)
    assert metrics["epochs_run"] == 3
    # the gathered validation of two devices equals the fresh one on one device: no image twice, none left out
    best = history["epoch"].index(metrics["best_epoch"])
    assert metrics[NAMES[job]] == pytest.approx(history[NAMES[job]][best], abs=1e-6)
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.mark.parametrize("job", NAMES)
def test_kill_9_and_resume_end_with_the_numbers_of_an_unkilled_run(job, stores, tmp_path):
    store = stores[job]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = finish(start(job, store, whole), whole)
    process = start(job, store, killed, pause=0.5)
    last = killed / "work" / "last.ckpt"
    deadline = time.monotonic() + 200
    while not last.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.05)
    time.sleep(0.7)  # into the next epoch
    process.kill()
    process.communicate()
    assert not (killed / "out.jsonl").exists()
    assert finish(start(job, store, killed), killed) == expected
