"""Judged images in memory, at one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from twinfolio.data.images import UnreadableImageError, decode
from twinfolio.data.sources.judged import Judged
from twinfolio.data.store import resize
from twinfolio.errors import DataError

Size = tuple[int, int]
"""Height and width, in pixels."""


@dataclass(frozen=True)
class JudgedImages:
    """Queries and maps as arrays, in the order of their judgments.

    Attributes:
        judged: Names and judgments of the images that could be read.
        queries: uint8 (N, H, W, 3).
        maps: uint8 (M, H, W, 3).
        left_out: (path, reason) of those that could not.
    """

    judged: Judged
    queries: NDArray[np.uint8]
    maps: NDArray[np.uint8]
    left_out: tuple[tuple[str, str], ...] = ()


def read_images(folder: Path, judged: Judged, size: Size | None) -> JudgedImages:
    """Decode both sides; an image that cannot be read is left out with its row or column.

    Args:
        folder: What the judgments' paths count from.
        judged: The judgments.
        size: What images are resized to, whatever their aspect ratio; None: that of the first one.

    Raises:
        DataError: No image of a side can be read.
    """
    arrays: list[NDArray[np.uint8]] = []
    left_out: list[tuple[str, str]] = []
    for side in (judged.queries, judged.maps):
        images, unread = _read_side(folder, side, size)
        if not images:
            raise DataError(f"{folder / unread[0][0]}: {unread[0][1]}, and no other image there can be read", "mend it")
        size = size or (images[0].shape[0], images[0].shape[1])
        arrays.append(np.stack([resize(image, *size) for image in images]))
        left_out += unread
    return JudgedImages(judged.without(name for name, _ in left_out), arrays[0], arrays[1], tuple(left_out))


def _read_side(
    folder: Path, names: Sequence[str], size: Size | None
) -> tuple[list[NDArray[np.uint8]], list[tuple[str, str]]]:
    """Images that can be read, and those that cannot with the reason; large ones are kept at the final size alone."""
    images: list[NDArray[np.uint8]] = []
    unread: list[tuple[str, str]] = []
    for name in tqdm(names, f"reading {Path(names[0]).parts[0]}", unit="image"):
        try:
            image = decode(folder / name, None if size is None else max(size))
        except UnreadableImageError as error:
            unread.append((name, error.reason))
            continue
        size = size or (image.shape[0], image.shape[1])
        images.append(resize(image, *size))
    return images, unread
