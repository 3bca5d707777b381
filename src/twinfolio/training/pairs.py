"""Training a twin on judged pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from twinfolio.data.datamodule import StoreDataModule, StoreRows
from twinfolio.data.judged_set import JudgedSet
from twinfolio.data.sampling import PairBatches
from twinfolio.data.store import Store
from twinfolio.models.pair_regression import PairRegression
from twinfolio.models.tasks import JudgedTask
from twinfolio.models.twin import Twin
from twinfolio.training.fit import seeded_weights
from twinfolio.training.jobs import Recipe, train, training_facts
from twinfolio.training.siamese import validate_siamese


@dataclass(frozen=True)
class TrainedTwin:
    """A trained twin and what is reported of its training.

    Args:
        twin: Two inputs to their similarity.
        metrics: Validation metrics with intervals, and facts of the training.
        history: A row an epoch.
    """

    twin: Twin
    metrics: dict[str, float]
    history: pd.DataFrame


def train_pairs(
    judged: JudgedSet, store: Store, target: str, build: Callable[[], Twin], batch_size: int, recipe: Recipe
) -> TrainedTwin | None:
    """Train a twin on the pairs of the split ``train``; the epoch whose loss on those of ``val`` is least is kept.

    Args:
        judged: Judgments and pairs.
        store: What the twin sees, ``judged.images`` or ``judged.bits``.
        target: ``sim`` or ``fov``.
        build: Makes the twin, its weights drawn from torch's own generator.
        batch_size: Pairs a step and device.
        recipe: How.

    Returns:
        None on every rank but zero.

    Raises:
        DataError: The target was not judged.
    """
    targets = judged.target(target)
    task, rows = judged_task(judged, targets)
    with seeded_weights(recipe.seed):
        twin = build()
    module = PairRegression(
        twin, torch.from_numpy(targets), task=task, schedule=recipe.schedule, seed=recipe.seed
    )  # fmt: skip
    val, pairs = StoreRows([store], rows), judged.pair_rows("train")
    data = StoreDataModule(
        StoreRows([store]),
        val,
        train_batches=lambda labels, sources, rank, world: PairBatches(
            pairs, batch_size, seed=recipe.seed, rank=rank, world=world
        ),
        augmentation=recipe.augmentation,
        seed=recipe.seed,
    )
    fitted = train(module, data, recipe, monitor=task.monitor)
    if fitted is None:
        return None
    metrics = validate_siamese(module, [val], fitted.device, recipe.seed)
    return TrainedTwin(twin, metrics | training_facts(module, twin.pretrained, fitted), fitted.history)


def judged_task(judged: JudgedSet, targets: NDArray[np.float32]) -> tuple[JudgedTask, NDArray[np.int64]]:
    """What validates a twin, and the rows (n,) that it looks at.

    Args:
        judged: Judgments and pairs.
        targets: (N, M).
    """
    pairs = judged.pair_rows("val")
    rows, positions = np.unique(pairs, return_inverse=True)
    queries, maps = pairs.T
    said = targets[queries, maps - len(targets)]
    task = JudgedTask(positions.reshape(pairs.shape), said, judged.places[queries].astype(np.str_))
    return task, rows
