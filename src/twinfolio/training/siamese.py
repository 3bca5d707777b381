"""Training a Siamese model for one distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from twinfolio.data.datamodule import StoreDataModule, StoreRows
from twinfolio.data.sampling import Batches, EpisodeBatches, PKBatches
from twinfolio.data.store import StoreInfo, class_weights, read_info
from twinfolio.evaluation.bootstrap import bootstrap_interval
from twinfolio.models.bundle import load_model
from twinfolio.models.embedder import build_class_layer, build_siamese, start_from
from twinfolio.models.siamese import MONITOR, PairObjective, RetrievalTask, SiameseModule, mean_average_precision
from twinfolio.training.data import flat_size, gallery_rows, open_rows, retrieval_task
from twinfolio.training.fit import Fitted, predict, seeded_weights
from twinfolio.training.jobs import Recipe, Trained, train, training_facts


@dataclass(frozen=True)
class SiameseSpec:
    """What is trained.

    Args:
        distance: ``l1``, ``l2`` or ``cosine``.
        trunk: timm's name.
        trunk_options: Further arguments of ``timm.create_model``.
        weights: ``imagenet``, ``none`` or a file; not read where there is a ``start``.
        start: Model folder whose trunk it starts from, or None.
        head: ``distance``, ``weighted`` or ``fusion``.
        pooling: Pooling of the trunk's feature map.
        embedding: Width of the projection, or None.
        hidden: Widths of the ReLU layers before the projection.
        activation: ``sigmoid`` after the projection, or None.
        normalise: Put embeddings on the unit sphere.
        size: Height and width the rows are resized to; None: left as they are.
        objective: What is minimised.
        classes_per_batch: P classes in a batch.
        images_per_class: K images of each.
        steps_per_epoch: Batches an epoch; None: as many as show every row about once.
        gallery: Most train images that validation queries are ranked against.
        refit: Train on validation rows too, for all epochs, and keep the last weights: nothing is left to validate on.
    """

    distance: str
    trunk: str
    trunk_options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = "imagenet"
    start: Path | None = None
    head: str = "distance"
    pooling: str = "avg"
    embedding: int | None = 256
    hidden: tuple[int, ...] = ()
    activation: str | None = None
    normalise: bool = True
    size: tuple[int, int] | None = None
    objective: PairObjective = field(default_factory=PairObjective)
    classes_per_batch: int = 16
    images_per_class: int = 4
    steps_per_epoch: int | None = None
    gallery: int = 400
    refit: bool = False


def train_siamese(store: Path, spec: SiameseSpec, recipe: Recipe) -> Trained | None:
    """Train a Siamese model on a store's train rows; the best epoch by validation retrieval mAP is kept.

    Args:
        store: Folder of the store.
        spec: What is trained.
        recipe: How.

    Returns:
        The model, its validation metrics on one device (none after a refit) and its history; None on every rank but
        zero.
    """
    info = read_info(store)
    rows, val = open_rows(store, spec.refit)
    gallery = gallery_rows(rows, spec.gallery, recipe.seed)
    task = retrieval_task(val, gallery)
    module = _module(spec, recipe, rows, task, info)
    data = StoreDataModule(
        rows,
        val,
        train_batches=lambda labels, sources, rank, world: _batches(labels, sources, spec, recipe.seed, rank, world),
        augmentation=recipe.augmentation,
        seed=recipe.seed,
        gallery=gallery,
    )
    fitted = train(module, data, recipe, monitor=None if spec.refit else MONITOR)
    if fitted is None:
        return None
    metrics = {} if spec.refit else validate_siamese(module, val, gallery, fitted.device, recipe.seed)
    return _result(module, info.classes, metrics, fitted)


def validate_siamese(
    module: SiameseModule, queries: StoreRows, gallery: StoreRows, device: torch.device, seed: int = 0
) -> dict[str, float]:
    """Retrieval mAP of the queries on the gallery, on one device, with an interval from a bootstrap over groups.

    Args:
        module: In evaluation mode, on ``device``; its task belongs to these rows.
        queries: Validation rows.
        gallery: Train rows.
        device: Where it computes.
        seed: Seed of the bootstrap.
    """
    parts = [torch.from_numpy(predict(module, rows, device)) for rows in (queries, gallery)]
    values = module.average_precisions(*parts)
    interval = bootstrap_interval(values, queries.image_keys.groups, seed=seed)
    return {MONITOR: mean_average_precision(values), f"{MONITOR}_low": interval.low, f"{MONITOR}_high": interval.high}


def _module(spec: SiameseSpec, recipe: Recipe, train: StoreRows, task: RetrievalTask, info: StoreInfo) -> SiameseModule:
    classes = len(info.classes)
    with seeded_weights(recipe.seed):
        embedder, head = build_siamese(
            spec.trunk,
            weights=spec.weights if spec.start is None else "none",
            head=spec.head,
            distance=spec.distance,
            options=spec.trunk_options,
            pooling=spec.pooling,
            embedding=spec.embedding,
            hidden=spec.hidden,
            activation=spec.activation,
            normalise=spec.normalise,
            channels=info.channels,
            size=spec.size or flat_size(spec.pooling, info),
        )
        layer = build_class_layer(embedder, classes) if spec.objective.class_weight > 0 else None
    if spec.start is not None:
        start_from(embedder, load_model(spec.start).embedder)
    return SiameseModule(
        embedder,
        head,
        layer,
        objective=spec.objective,
        class_weights=torch.from_numpy(class_weights(train.labels, classes)),
        task=task,
        schedule=recipe.schedule,
        seed=recipe.seed,
    )


def _batches(
    labels: NDArray[np.int64], sources: NDArray[np.int64], spec: SiameseSpec, seed: int, rank: int, world: int
) -> Batches:
    settings: dict[str, Any] = {"steps": spec.steps_per_epoch, "seed": seed, "rank": rank, "world": world}
    settings["classes_per_batch"] = spec.classes_per_batch
    if spec.objective.pairs == "episodes":
        return EpisodeBatches(labels, sources, **settings)
    return PKBatches(labels, sources, images_per_class=spec.images_per_class, **settings)


def _result(module: SiameseModule, classes: list[str], metrics: dict[str, float], fitted: Fitted) -> Trained:
    facts = training_facts(module, module.embedder, fitted)
    config = {"kind": "siamese", "classes": classes}
    return Trained(module.embedder, module.head, module.class_layer, config, metrics | facts, fitted.history)
