"""Training a Siamese model for one distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from twinfolio.data.datamodule import StoreDataModule, StoreRows
from twinfolio.data.family_batches import FamilyBatches, FamilyEpisodes, class_families
from twinfolio.data.filled_batches import FilledBatches
from twinfolio.data.sampling import Batches, EpisodeBatches
from twinfolio.data.store import StoreInfo, class_weights, read_info
from twinfolio.errors import DataError
from twinfolio.evaluation.arrays import Floats
from twinfolio.evaluation.bootstrap import bootstrap_interval
from twinfolio.models.bundle import load_model
from twinfolio.models.embedder import build_class_layer, build_siamese, start_from
from twinfolio.models.learner import EmbeddingLearner
from twinfolio.models.siamese import PairObjective, SiameseModule
from twinfolio.models.tasks import ValidationTask, mean_value
from twinfolio.training.data import (
    flat_size,
    gallery_rows,
    oneshot_task,
    open_rows,
    retrieval_task,
    trained_classes,
)
from twinfolio.training.fit import Fitted, predict, seeded_weights
from twinfolio.training.interpolation import keep_best, keep_share, renew_statistics, state_of
from twinfolio.training.jobs import Recipe, Trained, train, training_facts
from twinfolio.training.rounds import round_steps
from twinfolio.training.warm_start import can_start_warm, warm_start


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
        within: Share of a batch's classes that one family gives; None: families do not matter.
        gallery: Most train images that validation queries are ranked against.
        validation: ``retrieval`` on that gallery, or ``oneshot`` trials among the validation images.
        trials: One-shot trials a family.
        ways: Classes of such a trial.
        refit: Train on validation rows too, for all epochs, and keep the last weights: nothing is left to validate on.
        kept_share: Share of the way from the start's to the last weights that a refit keeps.
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
    within: float | None = None
    gallery: int = 400
    validation: str = "retrieval"
    trials: int = 400
    ways: int = 20
    refit: bool = False
    kept_share: float = 1.0


def train_siamese(store: Path, spec: SiameseSpec, recipe: Recipe) -> Trained | None:
    """Train a Siamese model on a store's train rows; the best epoch on validation is kept.

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
    classes = trained_classes(info, rows)
    task, parts = _validation(spec, recipe.seed, rows, val, info)
    module = _module(spec, recipe, rows, task, info, len(classes))
    start, validated = state_of(module), sum(map(len, parts))

    def batches(labels: NDArray[np.int64], sources: NDArray[np.int64], rank: int, world: int) -> Batches:
        steps = spec.steps_per_epoch
        if steps is None and recipe.budget.open_ended:
            steps = round_steps(len(labels), validated, spec.classes_per_batch * spec.images_per_class * world)
        place = {"steps": steps, "seed": recipe.seed, "rank": rank, "world": world}
        return _batches(labels, sources, class_families(classes), spec, **place)

    data = StoreDataModule(
        rows,
        val,
        train_batches=batches,
        augmentation=recipe.augmentation,
        seed=recipe.seed,
        gallery=parts[1] if len(parts) > 1 else None,
    )
    fitted = train(module, data, recipe, monitor=None if spec.refit else task.monitor)
    if fitted is None:
        return None

    def renew() -> None:
        renew_statistics(module, module.forward, data.train_images(fitted.device))

    metrics: dict[str, float] = {}
    if spec.refit:
        keep_share(module, start, spec.kept_share, renew)
    else:
        if recipe.budget.open_ended:
            metrics = keep_best(module, start, lambda: _value(module, parts, fitted.device), renew).facts()
        metrics |= validate_siamese(module, parts, fitted.device, recipe.seed)
    return _result(module, classes, metrics, fitted)


def validate_siamese(
    module: EmbeddingLearner, parts: Sequence[StoreRows], device: torch.device, seed: int = 0
) -> dict[str, float]:
    """The task's mean on one device, with an interval from a bootstrap over its groups.

    Args:
        module: In evaluation mode, on ``device``; its task belongs to these rows.
        parts: The rows of each validation loader.
        device: Where it computes.
        seed: Seed of the bootstrap.
    """
    values, monitor = _values(module, parts, device), module.task.monitor
    interval = bootstrap_interval(values, module.task.groups, seed=seed)
    return {monitor: mean_value(values), f"{monitor}_low": interval.low, f"{monitor}_high": interval.high}


def _values(module: EmbeddingLearner, parts: Sequence[StoreRows], device: torch.device) -> Floats:
    """The task's value of each query or trial."""
    embeddings = [torch.from_numpy(predict(module, rows, device)).to(device) for rows in parts]
    return module.task.values(module.head, embeddings)


def _value(module: EmbeddingLearner, parts: Sequence[StoreRows], device: torch.device) -> float:
    """The task's mean."""
    return mean_value(_values(module, parts, device))


def _validation(
    spec: SiameseSpec, seed: int, train: StoreRows, val: StoreRows, info: StoreInfo
) -> tuple[ValidationTask, list[StoreRows]]:
    """What validates the model, and the rows of each validation loader."""
    if spec.validation == "oneshot":
        known = np.intersect1d(train.labels, val.labels)
        if len(known) and not spec.refit:
            raise DataError(
                f"validation = oneshot: {info.classes[known[0]]} is trained and validated on ({len(known)} such)",
                "hold whole classes out, or use validation: retrieval",
            )
        return oneshot_task(val, info.classes, ways=spec.ways, per_family=spec.trials, seed=seed), [val]
    gallery = gallery_rows(train, spec.gallery, seed)
    return retrieval_task(val, gallery), [val, gallery]


def _module(
    spec: SiameseSpec, recipe: Recipe, train: StoreRows, task: ValidationTask, info: StoreInfo, classes: int
) -> SiameseModule:
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
    known = None
    if spec.start is not None:
        started = load_model(spec.start)
        start_from(embedder, started.embedder)
        known = started.class_layer if started.embedder.normalise else None
    if can_start_warm(embedder):
        warm_start(embedder, layer, known, train, recipe.seed)
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
    labels: NDArray[np.int64], sources: NDArray[np.int64], families: NDArray[np.str_], spec: SiameseSpec, **place: Any
) -> Batches:
    settings: dict[str, Any] = {"classes_per_batch": spec.classes_per_batch, **place}
    if spec.objective.pairs == "episodes" and spec.within is None:
        return EpisodeBatches(labels, sources, **settings)
    if spec.objective.pairs == "episodes":
        return FamilyEpisodes(labels, sources, families=families, **settings)
    settings["images_per_class"] = spec.images_per_class
    if spec.within is None:
        return FilledBatches(labels, sources, **settings)
    return FamilyBatches(labels, sources, families=families, within=spec.within, **settings)


def _result(module: SiameseModule, classes: list[str], metrics: dict[str, float], fitted: Fitted) -> Trained:
    facts = training_facts(module, module.embedder.info.pretrained, fitted)
    config = {"kind": "siamese", "classes": classes}
    return Trained(module.embedder, module.head, module.class_layer, config, metrics | facts, fitted.history)
