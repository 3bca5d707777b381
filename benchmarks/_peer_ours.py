"""The pipeline's default chain within a budget of CPU time: the classifier, then a Siamese model from it.

Every setting is that of the workspace's ``params.yaml``, but for how long training lasts: the classifier has its share
of the time and each distance's model the rest, since the champion needs two nets. A training ends early enough for its
last validations to be paid for: that of its last round, and those of the weights between start and end.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from _bench import ROOT
from _peer import SPLITS, write

sys.path.insert(0, str(ROOT / "pipelines"))

from _training import pair_settings, recipe_of
from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.images import originals
from twinfolio.assessment.systems import trained_system
from twinfolio.data.store import Store
from twinfolio.models.bundle import save_model
from twinfolio.params.file import load_params
from twinfolio.training.classify import ClassifierSpec, train_classifier
from twinfolio.training.interpolation import SHARES
from twinfolio.training.jobs import Recipe, Trained
from twinfolio.training.siamese import SiameseSpec, train_siamese

DISTANCES = ("l1", "l2", "cosine")
PROBE = 8
"""Images that a probe embeds."""
VALIDATIONS = 1 + len(SHARES)
"""Validations after the last step: of the last round, and of each share of the way from start to end."""


class Watch(pl.Callback):
    """CPU time from the start of a fit to its end, validations included; ends it when the time is nearly spent.

    Args:
        seconds: CPU time.
        validated: Rows that a validation embeds; what that costs is kept back.
        size: Side of a row.
        channels: Its channels.
    """

    def __init__(self, seconds: float, validated: int, size: int, channels: int) -> None:
        self.seconds, self.validated, self.shape = seconds, validated, (PROBE, channels, size, size)
        self.images = self.steps = 0
        self.reserve = self.spent = self._validating = 0.0
        self._started = time.process_time()

    @property
    def elapsed(self) -> float:
        """CPU seconds so far."""
        return time.process_time() - self._started

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Estimate what a validation costs, from a few rows."""
        before = time.process_time()
        pl_module.eval()
        with torch.no_grad():
            pl_module.embedder(torch.zeros(self.shape).contiguous(memory_format=torch.channels_last))
        pl_module.train()
        self.reserve = (time.process_time() - before) / PROBE * self.validated * VALIDATIONS

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Start the clock."""
        self._started = time.process_time()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Note when it starts."""
        self._validating = time.process_time()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """A whole validation is the better estimate."""
        self.reserve = (time.process_time() - self._validating) * VALIDATIONS

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        """Count, and stop where only the last validation is left to pay for."""
        self.images += len(batch["labels"])
        self.steps += 1
        if self.elapsed + self.reserve >= self.seconds:
            trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Stop the clock."""
        self.spent = self.elapsed


def within(recipe: Recipe, watch: Watch) -> Recipe:
    """A stage's recipe in rounds that lasts as long as a watch says."""
    return replace(recipe, budget=replace(recipe.budget, minutes=None), callbacks=(*recipe.callbacks, watch))


def keep(trained: Trained, folder: Path) -> Path:
    """Save a model as its stage does."""
    parts = {"embedder": trained.embedder, "head": trained.head, "class_layer": trained.class_layer}
    save_model(folder, **parts, config=trained.config)
    return folder


def embedded(name: str, folder: Path, store: Path) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """``<name>/<split>`` of the originals, and the class probabilities of test."""
    system = trained_system(name, folder)
    arrays = {}
    for split in SPLITS:
        part = Store.open(store / split)
        arrays[f"{name}/{split}"] = embed_originals(system, part.images, originals(part), split)
    return arrays, None if system.classify is None else system.classify(arrays[f"{name}/test"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="outputs/store of a workspace")
    parser.add_argument("--seconds", type=float, required=True, help="CPU time of the classifier and of one distance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flips", action="store_true", help="not used: the params say how images are augmented")
    parser.add_argument("--distances", nargs="+", choices=DISTANCES, default=list(DISTANCES))
    parser.add_argument("--classifier-share", type=float, default=0.5, help="of the time")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    params = load_params(given.store.parent.parent / "params.yaml")
    val, train = (Store.open(given.store / split) for split in ("val", "train"))
    shape = {"size": val.images.shape[1], "channels": val.images.shape[3]}
    gallery = min(params.siamese.validation_gallery, int((train.index["copy"] == 0).sum()))
    scratch = Path(tempfile.mkdtemp(prefix="peer-ours-"))
    try:
        first = Watch(given.seconds * given.classifier_share, len(val), **shape)
        own = params.classify.model_copy(update={"seed": given.seed})
        names = ("trunk", "trunk_options", "weights", "pooling", "batch_size", "normalise", "label_smoothing",
                 "pair_weight", "temperature", "images_per_class")  # fmt: skip
        spec = ClassifierSpec(**{name: getattr(own, name) for name in names})
        recipe = within(recipe_of(own, params.trainer, scratch / "classify-work"), first)
        start = keep(train_classifier(given.store, spec, recipe), scratch / "classify")
        arrays, probabilities = embedded("classifier", start, given.store)
        arrays["test_logits"] = np.log(np.maximum(probabilities, 1e-12))
        second = {}
        for distance in given.distances:
            second[distance] = Watch(given.seconds - first.spent, len(val) + gallery, **shape)
            own = params.siamese.model_copy(update={"seed": given.seed})
            twin = SiameseSpec(distance=distance, start=start, **pair_settings(own))
            recipe = within(recipe_of(own, params.trainer, scratch / f"{distance}-work"), second[distance])
            trained = keep(train_siamese(given.store, twin, recipe), scratch / distance)
            arrays |= embedded(distance, trained, given.store)[0]
        facts = {
            "cpu_seconds": first.spent + max(one.spent for one in second.values()),
            "images": first.images + max(one.images for one in second.values()),
            "classifier_seconds": first.spent,
            "classifier_steps": first.steps,
            "siamese_steps": {name: one.steps for name, one in second.items()},
            "candidates": {name: name for name in second},  # each is compared by its own distance
            "others": {"classifier": "cosine"},
        }
        write(given.out, arrays, facts)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
