"""The store: every image decoded and resized once, a memory-mapped array per split.

``<store>/{train,val,test,unknown}/{images.npy,labels.npy,index.csv}`` and ``<store>/store.json``. ``unknown`` holds the
classes held out of training, and is empty where there are none. A batch is one fancy index into
``images``: no decoding, no per-sample Python. Written by ``twinfolio.data.store_writer``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from twinfolio.data.manifest import SPLITS, UNKNOWN
from twinfolio.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Fit = Literal["pad", "crop", "stretch"]
Policy = Literal["pages", "characters", "photos", "none"]
INDEX_COLUMNS = ("image_id", "copy", "tile", "label", "group", "cluster", "within_group")
INFO_FILE = "store.json"


@dataclass(frozen=True)
class StoreInfo:
    """What ``store.json`` says of a whole store.

    Attributes:
        channels: 3 (RGB) or 1 (grey).
        classes: The names of all known classes, sorted; ``Store.labels`` are positions in this list.
        counts: For each split ``images`` (of the manifest), ``rows`` (with tiles and copies) and ``copies``.
        data_hash: SHA-256 over the manifest's paths and file hashes.
        fit: How an image that is not square was made so.
        has_groups: Whether images were grouped into pages, folios or quires.
        policy: The augmentation policy of the copies.
        size: Side of the square rows, in pixels.
        tile_above: A page whose longer side is over this many times ``size`` was tiled.
        tiles: Rows of a tiled page.
        unknown_classes: The names of the classes held out of training, sorted; in the split ``unknown``,
            ``Store.labels`` are positions in ``classes + unknown_classes``.
    """

    channels: int
    classes: list[str]
    counts: dict[str, dict[str, int]]
    data_hash: str
    fit: Fit
    has_groups: bool
    policy: Policy
    size: int
    tile_above: float
    tiles: int
    unknown_classes: list[str] = field(default_factory=list)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that may hold images."""
        return (*SPLITS, UNKNOWN) if self.unknown_classes else SPLITS


@dataclass(frozen=True)
class Store:
    """One split of the store, open for reading.

    Attributes:
        images: (N, size, size, C) uint8, memory-mapped.
        labels: (N,) int64, positions in ``StoreInfo.classes`` (see there for unknown ones).
        index: N rows with the columns ``image_id, copy, tile, label, group, cluster, within_group``; copy 0 is the
            original, copies 1, 2, ... are augmented; tile 0 is the whole image where a page was not tiled.
    """

    images: np.ndarray
    labels: np.ndarray
    index: pd.DataFrame

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """The images at ``rows`` (B,), copied into memory: (B, size, size, C) uint8."""
        return np.asarray(self.images[rows])

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a split's folder without reading its pixels.

        Args:
            folder: ``<store>/train``, ``<store>/val``, ``<store>/test`` or ``<store>/unknown``.

        Raises:
            DataError: A file is missing or broken, or the three files do not have the same number of rows.
        """
        import pandas as pd

        try:
            labels = np.load(folder / "labels.npy")
            images = np.load(folder / "images.npy", mmap_mode="r" if len(labels) else None)
            text = dict.fromkeys(("image_id", "label", "group", "cluster"), str)
            index = pd.read_csv(folder / "index.csv", dtype=text, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{folder}: not a readable store ({error})", "run the augment stage") from None
        if not len(images) == len(labels) == len(index) or tuple(index.columns) != INDEX_COLUMNS:
            raise DataError(f"{folder}: images, labels and index do not belong together", "run the augment stage again")
        return cls(images, labels, index)


def read_info(store_root: Path) -> StoreInfo:
    """Read ``store.json``.

    Args:
        store_root: The folder that holds the three splits.

    Raises:
        DataError: The file is missing, is not JSON or has other keys than a ``StoreInfo``.
    """
    path = store_root / INFO_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})", "run the augment stage") from None
    expected = {key.name for key in fields(StoreInfo)}
    if not isinstance(raw, dict) or set(raw) | {"unknown_classes"} != expected:  # older stores hold no unknown class
        raise DataError(f"{path}: not written by this version of Twinfolio", "run the augment stage again")
    return StoreInfo(**raw)


def fit_image(image: np.ndarray, size: int, fit: Fit) -> np.ndarray:
    """Make an image square: area averaging where it shrinks, linear interpolation where it grows.

    Args:
        image: (H, W, 3) uint8.
        size: Side of the result in pixels.
        fit: ``pad`` keeps the whole image, centred on the median colour of its border; ``crop`` keeps the central
            square; ``stretch`` ignores the aspect ratio.

    Returns:
        (size, size, 3) uint8.
    """
    height, width = image.shape[:2]
    if fit == "stretch":
        return resize(image, size, size)
    side = max(height, width) if fit == "pad" else min(height, width)
    new_height, new_width = (max(1, round(length * size / side)) for length in (height, width))
    resized = resize(image, new_height, new_width)
    if fit == "crop":
        top, left = (new_height - size) // 2, (new_width - size) // 2
        return np.ascontiguousarray(resized[top : top + size, left : left + size])
    top, left = (size - new_height) // 2, (size - new_width) // 2
    square = np.empty((size, size, image.shape[2]), np.uint8)
    square[:] = border_colour(resized)
    square[top : top + new_height, left : left + new_width] = resized
    return square


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (H, W, C) uint8 to ``height`` x ``width``: area averaging to shrink, linear to grow."""
    import cv2

    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))


def border_colour(image: np.ndarray) -> np.ndarray:
    """Median colour (C,) uint8 of the outermost pixels: the paper, on most pages, whatever is written inside."""
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return np.asarray(np.median(border, axis=0)).astype(np.uint8)


def class_weights(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Weights of a weighted cross-entropy, from the rows the loss will see.

    Counted from the store's train rows, after balancing copies were made, so that imbalance is not corrected twice.
    Every class present gets the same total weight, and the mean over rows is 1. A class without rows gets 0.

    Args:
        labels: (N,) integer labels of the train rows.
        n_classes: Number of classes.

    Returns:
        (n_classes,) float32.
    """
    counts = np.bincount(labels, minlength=n_classes)
    present = counts > 0
    weights = np.zeros(n_classes, np.float32)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


def rows_per_class(store_root: Path) -> pd.DataFrame:
    """What the store holds of each class.

    Returns:
        A row a class, unknown ones last: ``class, train_originals, train_copies, val, test`` and, where there are
        unknown ones, ``unknown`` (rows, so a tiled page counts each tile).
    """
    import pandas as pd

    info = read_info(store_root)
    table = pd.DataFrame({"class": [*info.classes, *info.unknown_classes]})
    for split in info.splits:
        index = Store.open(store_root / split).index
        originals, copies = (index["label"][mask].value_counts() for mask in (index["copy"] == 0, index["copy"] > 0))
        if split == "train":
            table["train_originals"] = table["class"].map(originals).fillna(0).astype(int)
            table["train_copies"] = table["class"].map(copies).fillna(0).astype(int)
        else:
            table[split] = table["class"].map(originals).fillna(0).astype(int)
    return table
