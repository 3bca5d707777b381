"""Lu's nine cells with three seeds on 60,000 digits: a search with MLflow against a bare PyTorch loop.

Both sides train the same net by AdamW on batches of 256 for the same epochs, look at the 10,000 validation images after
each, and use the same threads. The bare loop has its tensors in memory and does nothing else; ours draws the trial from
the study, tracks it as an MLflow run, keeps the best and the last checkpoint, and ends with intervals. Imports are on
neither clock. The sides take turns, a cell at a time. ``python benchmarks/grid_epoch.py [--epochs E] [--seeds S]``.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _bench import finish
from _grid import digits, make_home, tracked_run
from torch import Tensor

from _search import Search
from twinfolio.data.array_store import Part
from twinfolio.models.embedder import build_classifier
from twinfolio.training.memory import keep_freed_memory

BATCH, RATE, BAR = 256, 3.0e-3, 1.15
AXES = {"classify.trunk_options.depth": [1, 2, 3], "classify.trunk_options.kernels": [8, 16, 32]}


@dataclass(frozen=True)
class InTurns(Search):
    """A search whose every trial is followed by the bare loop of the same cell; their clocks are apart."""

    tensors: tuple[Tensor, Tensor, Tensor, Tensor]
    ours: dict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    bare: dict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))

    def _trial(self, trial: Any, values: dict[str, Any], parent: Any) -> Any:
        depth, kernels, seed = values.values()
        started = time.perf_counter()
        found = super()._trial(trial, values, parent)
        self.ours[depth, kernels] += time.perf_counter() - started
        started = time.perf_counter()
        bare_loop(*self.tensors, depth, kernels, self.params.classify.epochs, seed)
        self.bare[depth, kernels] += time.perf_counter() - started
        return found


def as_tensors(train: Part, val: Part) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (N, 1, 28, 28) in [0, 1] and labels, of train and of validation."""
    x, y, val_x, val_y = (torch.from_numpy(part) for pair in (train, val) for part in pair)
    return x[:, None].float() / 255, y, val_x[:, None].float() / 255, val_y


def bare_loop(
    x: Tensor,
    y: Tensor,
    val_x: Tensor,
    val_y: Tensor,
    depth: int,
    kernels: int,
    epochs: int,
    seed: int,
) -> list[float]:
    """Train on tensors; the validation accuracies."""
    torch.manual_seed(seed)
    options = {"depth": depth, "kernels": kernels}
    embedder, layer = build_classifier(
        "lu_conv", weights="none", classes=10, options=options, pooling="flatten", channels=1, size=(28, 28)
    )
    net = torch.nn.Sequential(embedder, layer)
    optimiser = torch.optim.AdamW(net.parameters(), RATE)
    accuracies = []
    for _ in range(epochs):
        net.train()
        for rows in torch.randperm(len(x)).split(BATCH):
            optimiser.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimiser.step()
        net.eval()
        with torch.inference_mode():
            said = torch.cat([net(part).argmax(1) for part in val_x.split(1024)])
        accuracies.append(float((said == val_y).float().mean()))
    return accuracies


def run(folder: Path, epochs: int, seeds: int) -> None:
    source, name = digits()
    assert source.test is not None
    space = {key: {"categorical": values} for key, values in AXES.items()}
    space |= {"classify.seed": {"categorical": list(range(seeds))}}
    search = {"study": "grid", "space": space, "sampler": "grid", "trials": None}
    budget = {"epochs": epochs, "patience": epochs, "batch_size": BATCH, "lr": RATE, "trunk_lr": RATE}
    params = make_home(folder, source.train, source.test, budget, search)
    sides = InTurns(folder, params, as_tensors(source.train, source.test))
    started = time.perf_counter()
    sides.work(tracked_run(folder))
    ours, bare = time.perf_counter() - started - sum(sides.bare.values()), sum(sides.bare.values())
    minutes = {f"minutes_{d}x{k}": seconds / 60 / seeds for (d, k), seconds in sides.ours.items()}
    finish(
        "grid_epoch",
        ours / bare,
        "x the bare loop",
        BAR,
        ours / bare <= BAR,
        {"ours_s": ours, "bare_s": bare, **minutes, "epochs": epochs, "seeds": seeds, "digits": name,
         "threads": torch.get_num_threads()},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4, help="of each trial: the paper's")
    parser.add_argument("--seeds", type=int, default=3, help="trials of each cell")
    options = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    for name in ("mlflow", "pytorch_lightning", "twinfolio.training.classify"):
        import_module(name)  # a trial would import them on its clock
    keep_freed_memory()  # as every training does: it speeds up both sides
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), options.epochs, options.seeds)


if __name__ == "__main__":
    main()
