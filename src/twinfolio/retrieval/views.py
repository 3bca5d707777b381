"""Several views of one image, embedded together: the whole and crops of it.

The mean of unit vectors over views is how large images are usually described (over scales in Radenovic et al. 2018,
"Fine-tuning CNN image retrieval with no human annotation", section 5.2). Where pages are tiled, it acts on each tile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.retrieval.embed import Forward
from twinfolio.retrieval.scorers import Floats, unit_rows

_BATCH = 64


@dataclass(frozen=True)
class Views:
    """The whole image and a square grid of crops, each brought to the size of the whole.

    Attributes:
        per_side: Crops along each side: 0: the whole alone, 1: the centre, 2: the corners, 3: nine.
        crop: Side of a crop as a share of the image's.

    Raises:
        ValueError: per_side is below 0 or crop outside (0, 1].
    """

    per_side: int = 2
    crop: float = 0.75

    def __post_init__(self) -> None:
        if self.per_side < 0 or not 0 < self.crop <= 1:
            raise ValueError(f"per_side = {self.per_side}, crop = {self.crop}: no such views")

    def __len__(self) -> int:
        return 1 + self.per_side**2

    def cut(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Views (N, V, H, W, C) of images (N, H, W, C); the first is the whole."""
        height, width = images.shape[1:3]
        tall, wide = max(1, round(height * self.crop)), max(1, round(width * self.crop))
        out = np.empty((len(images), len(self), *images.shape[1:]), np.uint8)
        out[:, 0] = images
        corners = [(y, x) for y in self._starts(height - tall) for x in self._starts(width - wide)]
        for view, (y, x) in enumerate(corners, start=1):
            for image, target in zip(images[:, y : y + tall, x : x + wide], out[:, view], strict=True):
                target[:] = _resized(image, height, width)
        return out

    def forward(self, embed: Forward) -> Forward:
        """An embedder of images out of one of views.

        Args:
            embed: From (B, H, W, C) uint8 to (B, D).

        Returns:
            From (B, H, W, C) uint8 to (B, D): the mean of the views' unit vectors, at the mean of their lengths.
        """
        if not self.per_side:
            return embed

        def of_views(images: NDArray[np.uint8]) -> Floats:
            rows = self.cut(images).reshape(-1, *images.shape[1:])
            parts = [embed(rows[start : start + _BATCH]) for start in range(0, len(rows), _BATCH)]
            return mean_direction(np.concatenate(parts).reshape(len(images), len(self), -1))

        return of_views

    def _starts(self, room: int) -> list[int]:
        """Where crops begin along one side."""
        if self.per_side == 1:
            return [room // 2]
        return [round(room * i / (self.per_side - 1)) for i in range(self.per_side)]


def mean_direction(vectors: Floats) -> Floats:
    """The mean of unit vectors (N, V, D) -> (N, D), at the mean length of the V vectors."""
    n_items, n_views, width = vectors.shape
    directions = unit_rows(vectors.reshape(-1, width)).reshape(n_items, n_views, width).mean(1)
    lengths = np.linalg.norm(vectors, axis=2).mean(1, keepdims=True)
    return np.asarray(unit_rows(directions) * lengths, dtype=np.float32)


def _resized(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    import cv2

    # OpenCV drops the axis of a single channel
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)).reshape(height, width, -1)
