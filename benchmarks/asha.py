"""ASHA against the full grid: is a configuration as good found for fewer epochs?

The grid is Lu's nine cells with three seeds, 27 epochs a trial at most, on a part of the digits. Each trial is trained
to the end once, and its validation accuracy kept after every epoch. ASHA then searches the same 27 trials, three times
in other orders, with the project's worker, study, pruner and default settings; a trial reads its accuracies from what
was kept instead of training anew, which would give the same numbers (trials are deterministic), and every epoch it
reads counts as trained. A cell is as good as its mean over the seeds. What was trained is kept below ``.twinfolio``, so
that another setting costs seconds.
``python benchmarks/asha.py [--images N] [--validation V] [--epochs E] [--seeds S] [--least L]``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from _bench import ROOT, finish
from _grid import digits
from grid_epoch import as_tensors, bare_loop
from optuna.exceptions import TrialPruned
from optuna.trial import Trial

from twinfolio.data.sources.digits import Digits
from twinfolio.search.space import parse_space
from twinfolio.search.study import Plan, open_storage, open_study, planned_trials
from twinfolio.search.worker import work

BAR, WITHIN = 0.40, 0.002
CELLS = [*product((1, 2, 3), (8, 16, 32))]


def curves_of(source: Digits, name: str, images: int, validation: int, epochs: int, seed: int) -> np.ndarray:
    """Validation accuracies (cells, epochs), trained where they were not kept."""
    kept = ROOT / ".twinfolio" / "benchmarks" / f"asha-{name}-{images}-{validation}-{epochs}-{seed}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, train_all(source, images, validation, epochs, seed))
    return np.asarray(np.load(kept))


def train_all(source: Digits, images: int, validation: int, epochs: int, seed: int) -> np.ndarray:
    """Validation accuracies (cells, epochs)."""
    assert source.test is not None
    rows = np.random.default_rng(seed).permutation(len(source.train[1]))[:images]
    train, val = (
        (source.train[0][rows], source.train[1][rows]),
        (source.test[0][:validation], source.test[1][:validation]),
    )
    tensors, curves = as_tensors(train, val), []
    for depth, kernels in CELLS:
        curves.append(bare_loop(*tensors, depth, kernels, epochs, seed))
        print(f"seed {seed}: {depth} x {kernels}: {max(curves[-1]):.4f}", flush=True)
    return np.array(curves)


def asha(folder: Path, curves: np.ndarray, seed: int, least: int | None = None) -> tuple[int, int]:
    """Epochs that ASHA trained, and which trial it found best.

    Args:
        folder: For the study.
        curves: (trials, epochs).
        seed: Of the order.
        least: Epochs that no trial is stopped before; None: the default.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(curves)).tolist()
    space = parse_space({"grid.point": {"categorical": order}})
    plan = Plan(
        "asha", space, {"val/accuracy": "maximize"}, trials=None, sampler="grid", pruner="asha", seed=seed,
        least_epochs=least, most_epochs=curves.shape[1],
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
    epochs = sum(max(trial.intermediate_values) for trial in planned_trials(study))
    return epochs, int(study.best_trial.params["grid.point"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8_000, help="train images")
    parser.add_argument("--validation", type=int, default=5_000, help="validation images")
    parser.add_argument("--epochs", type=int, default=27, help="cap of a trial")
    parser.add_argument("--seeds", type=int, default=3, help="trials of a cell, and orders of the search")
    parser.add_argument("--least", type=int, help="epochs that no trial is stopped before; left out: the default")
    options = parser.parse_args()
    seeds, (source, name) = range(options.seeds), digits()
    budget = (options.images, options.validation, options.epochs)
    curves = np.concatenate([curves_of(source, name, *budget, seed) for seed in seeds])
    of_cell = curves.max(1).reshape(len(seeds), len(CELLS)).mean(0)
    sides: dict[str, Any] = {"trials": len(curves), "cap": options.epochs, "grid_epochs": curves.size}
    sides |= {"images": options.images, "validation": options.validation, "digits": name}
    sides |= {"best_cell": "x".join(map(str, CELLS[of_cell.argmax()])), "best_cell_accuracy": float(of_cell.max())}
    shares, gaps = [], []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            epochs, found = asha(Path(folder), curves, seed, options.least)
        cell = found % len(CELLS)
        shares.append(epochs / curves.size)
        gaps.append(float(of_cell.max() - of_cell[cell]))
        sides |= {f"found_{seed}": "x".join(map(str, CELLS[cell])), f"epochs_{seed}": epochs}
    sides |= {"largest_gap_points": 100 * max(gaps)}
    ok = max(shares) <= BAR and max(gaps) <= WITHIN
    finish("asha", max(shares), "of the grid's epochs, largest of the seeds", BAR, ok, sides)


if __name__ == "__main__":
    main()
