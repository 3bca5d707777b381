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
from twinfolio.data.filled_batches import FilledBatches
from twinfolio.data.sampling import Batches, ShuffledBatches
from twinfolio.data.store import StoreInfo, class_weights, read_info
from twinfolio.evaluation.reports import classification_summary
from twinfolio.models.classifier import MONITOR, ClassifierModule, per_image
from twinfolio.models.embedder import build_classifier
from twinfolio.models.heads import build_head
from twinfolio.training.data import flat_size, open_rows
from twinfolio.training.fit import Fitted, predict, seeded_weights
from twinfolio.training.interpolation import keep_best, renew_statistics, state_of
from twinfolio.training.jobs import Recipe, Trained, train, training_facts, with_prefix
from twinfolio.training.rounds import round_steps
from twinfolio.training.warm_start import first_features, start_from_class_means


@dataclass(frozen=True)
class ClassifierSpec:
    """What is trained.

    Args:
        trunk: timm's name.
        trunk_options: Further arguments of ``timm.create_model``.
        weights: ``imagenet``, ``none`` or a file.
        pooling: Pooling of the trunk's feature map.
        batch_size: Rows a step and device.
        normalise: Put features on the unit sphere; the class layer then begins at the classes' means.
        label_smoothing: Share of the target spread over all classes.
        pair_weight: Weight of the contrastive loss over pairs, see ``ClassifierModule``; 0: none.
        temperature: See ``ClassifierModule``.
        images_per_class: Different images of a class in a batch, where there is a loss over pairs.
    """

    trunk: str
    trunk_options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = "imagenet"
    pooling: str = "avg"
    batch_size: int = 32
    normalise: bool = False
    label_smoothing: float = 0.0
    pair_weight: float = 0.0
    temperature: float = 0.1
    images_per_class: int = 4


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
    start = state_of(module)

    def batches(labels: NDArray[np.int64], sources: NDArray[np.int64], rank: int, world: int) -> Batches:
        steps = round_steps(len(labels), len(val), spec.batch_size * world) if recipe.budget.open_ended else None
        return _batches(labels, sources, spec, steps=steps, seed=recipe.seed, rank=rank, world=world)

    data = StoreDataModule(
        rows,
        val,
        train_batches=batches,
        augmentation=recipe.augmentation,
        seed=recipe.seed,
    )
    fitted = train(module, data, recipe, monitor=MONITOR)
    if fitted is None:
        return None
    facts = {}
    if recipe.budget.open_ended:
        facts = keep_best(
            module,
            start,
            lambda: validate_classifier(module, val, fitted.device, recipe.seed, n=1)["macro_f1"],
            lambda: renew_statistics(module, module.forward, data.train_images(fitted.device)),
        ).facts()
    metrics = with_prefix("val/classification", validate_classifier(module, val, fitted.device, recipe.seed))
    return _result(module, info.classes, metrics | facts, fitted)


def validate_classifier(
    module: ClassifierModule, rows: StoreRows, device: torch.device, seed: int = 0, n: int = 1000
) -> dict[str, float]:
    """Metrics of all images of a split, on one device, with intervals from a bootstrap over groups.

    Args:
        module: In evaluation mode, on ``device``.
        rows: The split's rows.
        device: Where it computes.
        seed: Seed of the bootstrap.
        n: Its resamples.
    """
    logits = torch.from_numpy(predict(module, rows, device))
    probabilities, labels = per_image(logits.softmax(1).numpy(), rows.labels, rows.sources)
    return classification_summary(probabilities, labels, rows.image_keys.groups, n=n, seed=seed)


def _module(spec: ClassifierSpec, recipe: Recipe, train: StoreRows, info: StoreInfo) -> ClassifierModule:
    classes = len(info.classes)
    with seeded_weights(recipe.seed):
        embedder, layer = build_classifier(
            spec.trunk,
            weights=spec.weights,
            classes=classes,
            options=spec.trunk_options,
            pooling=spec.pooling,
            normalise=spec.normalise,
            channels=info.channels,
            size=flat_size(spec.pooling, info),
        )
    if spec.normalise:
        start_from_class_means(layer, *first_features(embedder, train, recipe.seed))
    return ClassifierModule(
        embedder,
        layer,
        class_weights=torch.from_numpy(class_weights(train.labels, classes)),
        label_smoothing=spec.label_smoothing,
        pair_weight=spec.pair_weight,
        temperature=spec.temperature,
        schedule=recipe.schedule,
        seed=recipe.seed,
    )


def _batches(labels: NDArray[np.int64], sources: NDArray[np.int64], spec: ClassifierSpec, **place: Any) -> Batches:
    if spec.pair_weight == 0:
        return ShuffledBatches(len(labels), spec.batch_size, **place)
    classes = max(1, spec.batch_size // spec.images_per_class)
    return FilledBatches(labels, sources, classes_per_batch=classes, images_per_class=spec.images_per_class, **place)


def _result(module: ClassifierModule, classes: list[str], metrics: dict[str, float], fitted: Fitted) -> Trained:
    facts = training_facts(module, module.embedder.info.pretrained, fitted)
    config = {"kind": "classifier", "classes": classes}
    head = build_head("distance", "cosine", module.embedder.dim)  # its features are searched by cosine
    return Trained(module.embedder, head, module.class_layer, config, metrics | facts, fitted.history)
