"""Trains one tiny model: ``train_once.py JOB STORE WORK_DIR OUT DEVICES [SECONDS_A_STEP]``; rank zero writes OUT."""

import dataclasses
import json
import sys
import time
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

from tests.unit.training.test_pairs import train as train_judged  # noqa: E402
from tests.unit.training.test_training import CLASSIFIER, SIAMESE, recipe  # noqa: E402
from twinfolio.data.judged_set import open_judged_set  # noqa: E402
from twinfolio.models.learner import Learner  # noqa: E402
from twinfolio.training.classify import train_classifier  # noqa: E402
from twinfolio.training.siamese import train_siamese  # noqa: E402
from twinfolio.training.trainer import Hardware  # noqa: E402


def main(job, store, work_dir, out, devices, pause="0"):
    torch.set_num_threads(1)
    seed_step = Learner.on_train_batch_start

    def slow_step(self, batch, batch_idx):
        time.sleep(float(pause))
        seed_step(self, batch, batch_idx)

    Learner.on_train_batch_start = slow_step
    hardware = Hardware(accelerator="cpu", devices=int(devices))
    if job == "pairs":
        trained = train_judged(open_judged_set(Path(store)), "orb", Path(work_dir), hardware=hardware)
    else:
        train, spec = {"classifier": (train_classifier, CLASSIFIER), "siamese": (train_siamese, SIAMESE)}[job]
        trained = train(Path(store), spec, dataclasses.replace(recipe(Path(work_dir), epochs=3), hardware=hardware))
    if trained is not None:
        with Path(out).open("a") as file:  # appended: a second rank that writes would be seen
            file.write(json.dumps([trained.metrics, trained.history.fillna(-1).to_dict("list")], sort_keys=True) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
