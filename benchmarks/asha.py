"""ASHA against the full grid: is a configuration as good found for fewer epochs?

The grid is Lu's nine cells, 27 epochs a trial at most, on a part of the digits. Each cell is trained to the end once a
seed and its validation accuracy kept after every epoch. ASHA then searches the same grid in random order, with the
project's worker, study and pruner; a trial reads its accuracies from what was kept instead of training anew, which
would give the same numbers (trials are deterministic), and every epoch it reads counts as trained. What was trained is
kept below ``.twinfolio``, so that another setting costs seconds.
``python benchmarks/asha.py [--images N] [--validation V] [--epochs E] [--seeds S]``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import ROOT, finish
from _grid import digits
from grid_epoch import bare_loop
from optuna.exceptions import TrialPruned
from optuna.trial import Trial, TrialState

from _stage import keep_freed_memory
from twinfolio.search.space import parse_space
from twinfolio.search.study import Plan, open_storage, open_study, planned_trials
from twinfolio.search.worker import work

BAR, WITHIN = 0.40, 0.002
CELLS = [*product((1, 2, 3), (8, 16, 32))]


def curves_of(images: int, validation: int, epochs: int, seed: int) -> np.ndarray:
    """Validation accuracies (cells, epochs), trained where they were not kept."""
    kept = ROOT / ".twinfolio" / "benchmarks" / f"asha-{images}-{validation}-{epochs}-{seed}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, train_all(images, validation, epochs, seed))
    return np.asarray(np.load(kept))


def train_all(images: int, validation: int, epochs: int, seed: int) -> np.ndarray:
    """Validation accuracies (cells, epochs)."""
    source, _ = digits()
    assert source.test is not None
    rows = np.random.default_rng(seed).permutation(len(source.train[1]))
    parts = [
        (source.train[0][rows[:images]], source.train[1][rows[:images]]),
        (source.test[0][:validation], source.test[1][:validation]),
    ]
    tensors = [torch.from_numpy(part) for pair in parts for part in pair]
    x, y, val_x, val_y = tensors[0][:, None].float() / 255, tensors[1], tensors[2][:, None].float() / 255, tensors[3]
    curves = []
    for depth, kernels in CELLS:
        curves.append(bare_loop(x, y, val_x, val_y, depth, kernels, epochs, seed))
        print(f"seed {seed}: {depth} x {kernels}: {max(curves[-1]):.4f}", flush=True)
    return np.array(curves)


def asha(folder: Path, curves: np.ndarray, seed: int) -> tuple[int, float]:
    """Epochs that ASHA trained, and the accuracy of the best configuration it finished."""
    order = np.random.default_rng([seed, 1]).permutation(len(curves)).tolist()
    space = parse_space({"grid.point": {"categorical": order}})
    plan = Plan(
        "asha", space, {"val/accuracy": "maximize"}, trials=None, sampler="grid", pruner="asha", seed=seed,
        least_epochs=1, most_epochs=curves.shape[1], factor=3,
    )  # fmt: skip
    study = open_study(plan, open_storage(f"sqlite:///{folder / 'study.db'}", 20, 3))

    def trained(trial: Trial, values: dict[str, Any]) -> Sequence[float]:
        curve = curves[values["grid.point"]]
        for epoch, accuracy in enumerate(curve.tolist(), start=1):
            trial.report(accuracy, epoch)
            if epoch < len(curve) and trial.should_prune():
                raise TrialPruned
        return [float(curve.max())]  # the checkpoint that is kept is the best epoch's

    work(study, space, trained)
    trials = planned_trials(study)
    epochs = sum(max(trial.intermediate_values) for trial in trials)
    return epochs, max(trial.values[0] for trial in trials if trial.state == TrialState.COMPLETE and trial.values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8_000, help="train images")
    parser.add_argument("--validation", type=int, default=5_000, help="validation images")
    parser.add_argument("--epochs", type=int, default=27, help="cap of a trial")
    parser.add_argument("--seeds", type=int, default=3, help="runs of either side")
    options = parser.parse_args()
    sides: dict[str, Any] = {"cells": len(CELLS), "cap": options.epochs}
    sides |= {"images": options.images, "validation": options.validation}
    keep_freed_memory()
    shares, gaps = [], []
    for seed in range(options.seeds):
        curves = curves_of(options.images, options.validation, options.epochs, seed)
        with tempfile.TemporaryDirectory() as folder:
            epochs, best = asha(Path(folder), curves, seed)
        shares.append(epochs / curves.size)
        gaps.append(float(curves.max()) - best)
        sides |= {f"grid_best_{seed}": float(curves.max()), f"asha_best_{seed}": best, f"asha_epochs_{seed}": epochs}
    sides |= {"grid_epochs": options.epochs * len(CELLS), "largest_gap_points": 100 * max(gaps)}
    ok = max(shares) <= BAR and max(gaps) <= WITHIN
    finish("asha", max(shares), "of the grid's epochs, largest of the seeds", BAR, ok, sides)


if __name__ == "__main__":
    main()
