"""What the training jobs take and give back."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from torch import nn

from twinfolio.data.datamodule import Augmentation, StoreDataModule
from twinfolio.models.embedder import ClassLayer, Embedder
from twinfolio.models.heads import Head
from twinfolio.models.learner import Learner
from twinfolio.models.optimisation import Schedule
from twinfolio.training.fit import Fitted, fit
from twinfolio.training.trainer import Budget, Hardware, build_trainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, whatever it is.

    Args:
        seed: Seed of initial weights, batches and augmentation.
        schedule: Optimiser settings.
        augmentation: Augmentation of the train batches.
        budget: How long it lasts.
        hardware: What it runs on.
        work_dir: Folder of the checkpoints; what is in it is resumed.
        logger: Where epoch metrics go.
        callbacks: More callbacks of the Trainer.
    """

    seed: int
    schedule: Schedule
    augmentation: Augmentation
    budget: Budget
    hardware: Hardware
    work_dir: Path
    logger: Logger | None = None
    callbacks: Sequence[pl.Callback] = ()


@dataclass(frozen=True)
class Trained:
    """A trained model and what is reported of its training.

    Args:
        embedder: Images to embeddings.
        head: Pairs to logits; None without one.
        class_layer: Embeddings to class logits, where there is one.
        config: Plain values to keep beside the weights.
        metrics: Validation metrics with intervals, and facts of the training.
        history: A row an epoch.
    """

    embedder: Embedder
    head: Head | None
    class_layer: ClassLayer | None
    config: dict[str, Any]
    metrics: dict[str, float]
    history: pd.DataFrame


def train(module: Learner, data: StoreDataModule, recipe: Recipe, *, monitor: str | None) -> Fitted | None:
    """Train, or go on training, by a recipe, and load the best weights.

    Args:
        module: What is trained.
        data: Its batches.
        recipe: How.
        monitor: Validation metric to maximise; None: train all epochs without validation.

    Returns:
        None on every rank but zero.
    """
    if recipe.hardware.compile:
        module.network.compile()
    trainer = build_trainer(
        recipe.hardware,
        recipe.budget,
        work_dir=recipe.work_dir,
        monitor=monitor,
        logger=recipe.logger,
        more=recipe.callbacks,
    )
    fitted = fit(trainer, module, data, recipe.work_dir)
    if fitted is not None and recipe.budget.open_ended:
        _say_why(trainer, fitted)
    return fitted


def _say_why(trainer: pl.Trainer, fitted: Fitted) -> None:
    """One line on how long a training in rounds lasted, and what ended it."""
    why = "validation stopped improving or is without a fault"
    if fitted.capped:
        why = "train.minutes is spent"
    elif fitted.epochs_run >= (trainer.max_epochs or 0):
        why = "the number of rounds was set"
    logger.info("%d rounds, %d steps, the best after round %d; ended because %s",
                fitted.epochs_run, fitted.steps, fitted.best_epoch + 1, why)  # fmt: skip


def training_facts(module: nn.Module, pretrained: bool, fitted: Fitted) -> dict[str, float]:
    """Facts of a training for its metrics file.

    Epochs (or rounds), steps, whether ``train.minutes`` ended it (1 or 0), parameters, and whether the trunk was
    pretrained (1 or 0).

    Args:
        module: Everything that was trained.
        pretrained: Whether its trunk started from ImageNet weights.
        fitted: What the fit left behind.
    """
    return {
        "best_epoch": fitted.best_epoch + 1,
        "epochs_run": fitted.epochs_run,
        "steps": fitted.steps,
        "capped": int(fitted.capped),
        "n_parameters": sum(parameter.numel() for parameter in module.parameters()),
        "pretrained": int(pretrained),
    }


def with_prefix(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    """The same values under ``<prefix>/<name>``."""
    return {f"{prefix}/{name}": value for name, value in values.items()}
