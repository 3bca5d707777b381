"""Training the classifier whose trunk the Siamese models start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from twinfolio.data.datamodule import StoreDataModule, StoreRows
from twinfolio.data.sampling import Batches, ShuffledBatches
from twinfolio.data.store import StoreInfo, class_weights, read_info
from twinfolio.evaluation.reports import classification_summary
from twinfolio.models.classifier import MONITOR, ClassifierModule, per_image
from twinfolio.models.embedder import build_classifier
from twinfolio.models.heads import build_head
from twinfolio.training.data import flat_size, open_rows
from twinfolio.training.fit import Fitted, predict, seeded_weights
from twinfolio.training.jobs import Recipe, Trained, train, training_facts, with_prefix


@dataclass(frozen=True)
class ClassifierSpec:
    """What is trained.

    Args:
        trunk: timm's name.
        trunk_options: Further arguments of ``timm.create_model``.
        weights: ``imagenet``, ``none`` or a file.
        pooling: Pooling of the trunk's feature map.
        batch_size: Rows a step and device.
        label_smoothing: Share of the target spread over all classes.
    """

    trunk: str
    trunk_options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = "imagenet"
    pooling: str = "avg"
    batch_size: int = 32
    label_smoothing: float = 0.0


def train_classifier(store: Path, spec: ClassifierSpec, recipe: Recipe) -> Trained | None:
    """Train a classifier on a store's train rows; the best epoch on validation is kept.

    Args:
        store: Folder of the store.
        spec: What is trained.
        recipe: How.

    Returns:
        The model, its validation metrics on one device and its history; None on every rank but zero.
    """
    info = read_info(store)
    rows, val = open_rows(store)
    module = _module(spec, recipe, rows, info)
    data = StoreDataModule(
        rows,
        val,
        train_batches=lambda labels, _, rank, world: _batches(labels, spec, recipe, rank, world),
        augmentation=recipe.augmentation,
        seed=recipe.seed,
    )
    fitted = train(module, data, recipe, monitor=MONITOR)
    if fitted is None:
        return None
    metrics = with_prefix("val/classification", validate_classifier(module, val, fitted.device, recipe.seed))
    return _result(module, info.classes, metrics, fitted)


def validate_classifier(
    module: ClassifierModule, rows: StoreRows, device: torch.device, seed: int = 0
) -> dict[str, float]:
    """Metrics of all images of a split, on one device, with intervals from a bootstrap over groups.

    Args:
        module: In evaluation mode, on ``device``.
        rows: The split's rows.
        device: Where it computes.
        seed: Seed of the bootstrap.
    """
    logits = torch.from_numpy(predict(module, rows, device))
    probabilities, labels = per_image(logits.softmax(1).numpy(), rows.labels, rows.sources)
    return classification_summary(probabilities, labels, rows.image_keys.groups, seed=seed)


def _module(spec: ClassifierSpec, recipe: Recipe, train: StoreRows, info: StoreInfo) -> ClassifierModule:
    classes = len(info.classes)
    with seeded_weights(recipe.seed):
        embedder, layer = build_classifier(
            spec.trunk,
            weights=spec.weights,
            classes=classes,
            options=spec.trunk_options,
            pooling=spec.pooling,
            channels=info.channels,
            size=flat_size(spec.pooling, info),
        )
    return ClassifierModule(
        embedder,
        layer,
        class_weights=torch.from_numpy(class_weights(train.labels, classes)),
        label_smoothing=spec.label_smoothing,
        schedule=recipe.schedule,
        seed=recipe.seed,
    )


def _batches(labels: NDArray[np.int64], spec: ClassifierSpec, recipe: Recipe, rank: int, world: int) -> Batches:
    return ShuffledBatches(len(labels), spec.batch_size, seed=recipe.seed, rank=rank, world=world)


def _result(module: ClassifierModule, classes: list[str], metrics: dict[str, float], fitted: Fitted) -> Trained:
    facts = training_facts(module, module.embedder.info.pretrained, fitted)
    config = {"kind": "classifier", "classes": classes}
    head = build_head("distance", "cosine", module.embedder.dim)  # its features are searched by cosine
    return Trained(module.embedder, head, module.class_layer, config, metrics | facts, fitted.history)
