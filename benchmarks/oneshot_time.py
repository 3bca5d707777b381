"""One-shot accuracy against training time, by this project's recipe and by the paper's, on the same machine.

Each training is cut off after the same number of minutes; validation alphabets answer, and time in validation counts.
The paper's recipe is validated more often than the paper does: on two cores its 1,000 iterations may outlast the time.
``python benchmarks/oneshot_time.py --workspace workspaces/omniglot [--minutes M] [--trainings A ...]`` reads stores
and params of a workspace of ``studies/ma_oneshot`` whose stage ``omniglot`` has run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl
from _bench import ROOT, finish

sys.path.insert(0, str(ROOT / "pipelines"))

from _ma import Training
from _training import pair_settings, recipe_of
from twinfolio.params import Params
from twinfolio.params.file import load_params
from twinfolio.training.siamese import SiameseSpec, train_siamese

MONITOR, WANTED = "val/oneshot/accuracy", 0.9


class Watch(pl.Callback):
    """Seconds and accuracy at each validation; stops the training at the end of an epoch once its time is spent."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.rows: list[tuple[float, float]] = []
        self.steps = 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note how far it has come."""
        self.rows.append((time.perf_counter() - self.started, float(trainer.callback_metrics[MONITOR])))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop where the time is spent."""
        self.steps = trainer.global_step
        trainer.should_stop = trainer.should_stop or time.perf_counter() - self.started > self.seconds


@dataclass(frozen=True)
class Curve:
    """One training.

    Attributes:
        pairs_per_s: Pairs in its losses, over all of its time.
        rows: (seconds, accuracy) at each validation.
    """

    pairs_per_s: float
    rows: list[tuple[float, float]]

    @property
    def minutes_to_wanted(self) -> float:
        """Minutes to the first validation at 90 % or above; infinite where there is none."""
        return next((seconds / 60 for seconds, value in self.rows if value >= WANTED), float("inf"))


def measure(workspace: Path, params: Params, name: str, seconds: float, paper_steps: int) -> Curve:
    """Train one model for a time; the paper's recipe is validated every ``paper_steps`` iterations."""
    training, watch = Training.named(name), Watch(seconds)
    own = training.params(params)
    spec = SiameseSpec(distance=training.distance, size=training.size, **pair_settings(own.siamese))
    if training.recipe == "paper":
        spec = replace(spec, steps_per_epoch=paper_steps)
    with tempfile.TemporaryDirectory() as folder:
        how = recipe_of(own.siamese, own.trainer, Path(folder))
        train_siamese(workspace / training.store, spec, replace(how, callbacks=(*how.callbacks, watch)))
    rows = spec.classes_per_batch * spec.images_per_class
    pairs = 2 * spec.classes_per_batch if spec.objective.pairs == "episodes" else rows * (rows - 1) // 2
    return Curve(watch.steps * pairs / watch.rows[-1][0], watch.rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True, help="of studies/ma_oneshot")
    parser.add_argument("--minutes", type=float, default=30, help="a training")
    parser.add_argument("--paper-steps", type=int, default=100, help="iterations of the paper's recipe a validation")
    parser.add_argument("--trainings", nargs="+", default=["small-ours-0", "sircnn-paper-0", "koch-paper-0"])
    options = parser.parse_args()
    params = load_params(options.workspace / "params.yaml")
    if params.omniglot.refit:
        parser.error(
            "omniglot.refit is true there: its validation alphabets are to be learned; make one with refit false"
        )
    cut = (60 * options.minutes, options.paper_steps)
    curves = {name: measure(options.workspace, params, name, *cut) for name in options.trainings}
    sides: dict[str, float | str] = {"minutes": options.minutes}
    for name, curve in curves.items():
        within = curve.minutes_to_wanted
        sides |= {
            f"{name}_pairs_per_s": curve.pairs_per_s,
            f"{name}_minutes_to_90": within if within < float("inf") else "not reached",
            f"{name}_best": max(value for _, value in curve.rows),
        }
    best = curves[options.trainings[0]]
    print(*(f"{name},{s:.1f},{value:.4f}" for name, curve in curves.items() for s, value in curve.rows), sep="\n")
    finish(
        "oneshot_time", best.rows[-1][1], f"accuracy of {options.trainings[0]} at the end", WANTED,
        best.minutes_to_wanted < float("inf"), sides,
    )  # fmt: skip


if __name__ == "__main__":
    main()
