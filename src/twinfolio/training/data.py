"""The rows a training reads from the store, and what validation queries may find."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinfolio.data.datamodule import StoreRows, balanced_subset
from twinfolio.data.family_batches import class_families
from twinfolio.data.store import Store, StoreInfo
from twinfolio.errors import DataError
from twinfolio.evaluation.trials import draw_trials
from twinfolio.models.tasks import OneShotTask, RetrievalTask


def open_rows(store: Path, refit: bool = False) -> tuple[StoreRows, StoreRows]:
    """Train and validation rows of a store.

    Args:
        store: Folder of the store.
        refit: Train on validation rows too (everything is fixed by then; validation no longer measures anything).

    Raises:
        DataError: A split is empty.
    """
    train, val = Store.open(store / "train"), Store.open(store / "val")
    for name, part in (("train", train), ("val", val)):
        if not len(part):
            raise DataError(f"{store / name}: no images", "give more images, or other split.fractions")
    return StoreRows([train, val] if refit else [train]), StoreRows([val])


def flat_size(pooling: str, info: StoreInfo) -> tuple[int, int] | None:
    """The fixed image size that ``flatten`` needs: the store's rows; None for poolings of any size."""
    return (info.size, info.size) if pooling == "flatten" else None


def gallery_rows(train: StoreRows, images: int, seed: int) -> StoreRows:
    """Originals (no copies) of at most ``images`` train images, balanced over classes.

    Args:
        train: Train rows.
        images: Most images; every validation during training embeds them all.
        seed: Seed of the choice.
    """
    originals = np.flatnonzero(train.index["copy"].to_numpy() == 0)
    sources, first = np.unique(train.sources[originals], return_index=True)
    labels = train.labels[originals[first]]
    chosen = sources[balanced_subset(labels, images, np.random.default_rng(seed))]
    return StoreRows(train.stores, train.rows[originals[np.isin(train.sources[originals], chosen)]])


def retrieval_task(queries: StoreRows, gallery: StoreRows) -> RetrievalTask:
    """Query images against gallery images, without those of the query's own group or duplicate cluster.

    Args:
        queries: Validation rows.
        gallery: Train rows.
    """
    query, found = queries.image_keys, gallery.image_keys
    relevant = query.labels[:, None] == found.labels[None, :]
    return RetrievalTask(queries.sources, gallery.sources, relevant, query.excluded_from(found), query.groups)


def oneshot_task(val: StoreRows, classes: Sequence[str], *, ways: int, per_family: int, seed: int) -> OneShotTask:
    """One-shot trials within the families of the validation classes.

    Args:
        val: Validation rows, each an image.
        classes: Names of the labels; what stands before a ``/`` is the family.
        ways: Classes a trial.
        per_family: Trials a family.
        seed: Of the draw.

    Raises:
        DataError: Images in several tiles or copies, or a family with too few classes.
    """
    if len(np.unique(val.sources)) < len(val):
        raise DataError("one-shot validation takes one row an image", "set augment.store.tiles to 1")
    families = class_families(classes)[val.labels]
    trials = draw_trials(
        val.labels, families, val.index["group"].to_numpy(dtype=str), ways=ways, per_family=per_family, seed=seed
    )
    return OneShotTask(trials)


def trained_classes(info: StoreInfo, train: StoreRows) -> list[str]:
    """The classes up to the last that has train rows: classes held out of training come after those."""
    return info.classes[: int(train.labels.max()) + 1]
