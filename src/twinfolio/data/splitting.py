"""Which image belongs to train, validation and test."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twinfolio.data.linked import linked
from twinfolio.data.manifest import SPLITS

Protocol = Literal["random", "blocks"]
Fractions = tuple[float, float, float]
_TRAIN, _VAL, _TEST = range(3)


def split_manifest(frame: pd.DataFrame, *, protocol: Protocol, fractions: Fractions, seed: int) -> pd.DataFrame:
    """Give every image a split.

    What must not be separated forms a unit: a duplicate cluster (``random``), or all groups that share a cluster
    (``blocks``). Within a class, units are dealt, largest first, to the split that lacks most images. Of 3 or more
    units each split gets at least one; of 2, train and test one each; a single one goes to train. A unit with images
    of several classes (the same picture under two labels) goes to train, so that no test image contradicts its label.
    A class without a unit for validation lends it the share ``fractions[1]`` of its training images, rounded, in whole
    clusters; they are marked ``within_group``.

    Args:
        frame: Columns ``image_id, label, group, cluster`` and any other, in any order of rows.
        protocol: ``random`` or ``blocks``.
        fractions: Shares of train, val and test.
        seed: Of the draw; a class draws from a generator of its own.

    Returns:
        The frame sorted by ``image_id``, with ``split`` and ``within_group``.
    """
    frame = frame.sort_values("image_id", kind="stable", ignore_index=True)
    cluster = pd.factorize(frame["cluster"])[0]
    unit = linked(frame["group"], cluster) if protocol == "blocks" else cluster
    split = np.full(len(frame), _TRAIN)
    lent = np.zeros(len(frame), dtype=bool)
    shared = frame.groupby(unit)["label"].transform("nunique").to_numpy() > 1
    owed = np.zeros(3)
    for label, rows in sorted(frame.groupby("label").indices.items()):
        rng = _class_generator(seed, str(label))
        names, index, sizes = np.unique(unit[rows], return_inverse=True, return_counts=True)
        pinned = np.isin(names, unit[rows][shared[rows]])
        split[rows] = place_units(sizes, pinned, fractions, owed, rng)[index]
        if _VAL not in split[rows]:
            train = rows[split[rows] == _TRAIN]
            free = train[~shared[train]]
            chosen = free[lend(cluster[free], int(fractions[_VAL] * len(train) + 0.5), rng)]
            split[chosen], lent[chosen] = _VAL, True
        owed += np.array(fractions) * len(rows) - np.bincount(split[rows], minlength=3)
    return frame.assign(split=np.array(SPLITS)[split], within_group=lent.astype(np.int64))


def place_units(
    sizes: NDArray[np.int64],
    pinned: NDArray[np.bool_],
    fractions: Fractions,
    owed: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Deal the units of one class (see ``split_manifest``).

    Args:
        sizes: (U,) images in each unit.
        pinned: (U,) units that go to train.
        fractions: Shares wanted.
        owed: (3,) images that earlier classes left each split short of; weighs at most half a unit, so that
            roundings cancel out over classes without distorting one.
        rng: Decides among units of one size.

    Returns:
        (U,) 0 train, 1 val, 2 test.
    """
    places = np.full(len(sizes), _TRAIN)
    free = rng.permutation(np.flatnonzero(~pinned))
    free = free[np.argsort(-sizes[free], kind="stable")]
    if len(sizes) == 1 or len(free) == 0:
        return places
    half = np.median(sizes) / 2
    lacking = np.array(fractions) * sizes.sum() + np.clip(owed, -half, half)
    lacking[_TRAIN] -= sizes[pinned].sum()
    splits = {_TRAIN, _TEST} if len(sizes) == 2 else {_TRAIN, _VAL, _TEST}
    empty = sorted(splits - {_TRAIN} if pinned.any() else splits)[-len(free) :]
    for position, unit in enumerate(free):
        choice = empty if len(free) - position <= len(empty) else splits
        place = max(choice, key=lambda split: (round(lacking[split], 9), split))
        places[unit] = place
        lacking[place] -= sizes[unit]
        empty = [split for split in empty if split != place]
    return places


def lend(clusters: NDArray[np.int64], quota: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw images for validation out of one class's training images.

    Args:
        clusters: (N,) duplicate cluster of each image: drawn whole or not at all.
        quota: At most this many images.
        rng: Of the draw.

    Returns:
        Indices of the images drawn, ascending.
    """
    names, sizes = np.unique(clusters, return_counts=True)
    drawn: list[int] = []
    for index in rng.permutation(len(names)):
        if sizes[index] <= quota:
            drawn.append(int(names[index]))
            quota -= int(sizes[index])
    return np.flatnonzero(np.isin(clusters, drawn))


def _class_generator(seed: int, label: str) -> np.random.Generator:
    """A generator that does not depend on which other classes there are."""
    digest = hashlib.sha256(label.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
