"""SURF (Bay, Ess, Tuytelaars & Van Gool 2008), by mahotas: OpenCV's wheels have none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH = 64
_LEAST_SIDE = 32
"""Mahotas' filters of four octaves need room."""


def surf(grey: NDArray[np.uint8], most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Key points (n, 2) as x, y in pixels and their descriptors (n, 64), strongest first.

    Args:
        grey: uint8 (H, W).
        most: Most key points.
    """
    from mahotas.features import surf as mahotas

    none = np.empty((0, 2), np.float32), np.empty((0, WIDTH), np.float32)
    if min(grey.shape) < _LEAST_SIDE:
        return none
    # columns: y, x, scale, score, sign of the Laplacian, angle, descriptor
    found = np.asarray(mahotas.surf(grey, max_points=most))
    if not len(found):
        return none
    found = found[np.argsort(-found[:, 3], kind="stable")]
    return found[:, [1, 0]].astype(np.float32), found[:, 6:].astype(np.float32)
