"""RootSIFT: SIFT (Lowe 2004, by OpenCV) compared by Hellinger's kernel (Arandjelovic & Zisserman 2012, section 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.detected import detected

WIDTH = 128


def rootsift(grey: NDArray[np.uint8], most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Key points (n, 2) as x, y in pixels and their descriptors (n, 128) of norm 1, strongest first.

    Args:
        grey: uint8 (H, W).
        most: Most key points.
    """
    import cv2

    points, sift = detected(cv2.SIFT.create(nfeatures=most), grey, most)
    return points, root(np.empty((0, WIDTH), np.float32) if sift is None else sift)


def root(sift: NDArray[np.float32]) -> NDArray[np.float32]:
    """The root of each descriptor's shares, so that Euclidean distance compares by Hellinger's kernel.

    Args:
        sift: (n, 128), not negative.
    """
    total = np.maximum(sift.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.sqrt(sift / total), np.float32)
