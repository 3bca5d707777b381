"""How many key points two images share: mutual nearest neighbours, Lowe's ratio test, one homography."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST = 4
"""Matches that fix a homography."""


@dataclass(frozen=True)
class Matching:
    """When two key points match.

    Attributes:
        ratio: Largest share of the second nearest's distance that the nearest's may have (Lowe 2004, section 7.1);
            1 leaves the test out.
        mutual: Each must be the other's nearest.
        reprojection: Most pixels a match may lie off the homography that most matches agree on (RANSAC); None counts
            all matches.
    """

    ratio: float = 0.75
    mutual: bool = True
    reprojection: float | None = None


def match(a: NDArray[np.float32], b: NDArray[np.float32], how: Matching) -> NDArray[np.int64]:
    """Matches (m, 2): rows of descriptors (n, D) and of (k, D), by Euclidean distance.

    Of bits 0 and 1 that is the root of Hamming's distance: the ratio is then one of roots.
    """
    if not len(a) or not len(b):
        return np.empty((0, 2), np.int64)
    squared = a @ (-2 * b.T)
    squared += (a**2).sum(1)[:, None]
    squared += (b**2).sum(1)
    np.maximum(squared, 0, out=squared)
    best = squared.argmin(axis=1)
    rows = np.arange(len(a))
    kept = np.ones(len(a), bool)
    if how.mutual:
        kept &= squared.argmin(axis=0)[best] == rows
    if how.ratio < 1 and len(b) > 1:
        nearest = squared[rows, best]
        squared[rows, best] = np.inf  # the least of the rest takes a fraction of a partition's time
        kept &= nearest < how.ratio**2 * squared.min(axis=1)
    return np.stack([rows[kept], best[kept]], axis=1)


def agreeing(a: NDArray[np.float32], b: NDArray[np.float32], pixels: float) -> int:
    """Matches that one homography explains.

    Args:
        a: (m, 2) points.
        b: (m, 2) their matches.
        pixels: Most they may lie off.
    """
    import cv2

    if len(a) < _LEAST:
        return 0
    cv2.setRNGSeed(0)
    _, inliers = cv2.findHomography(a, b, cv2.RANSAC, pixels)
    return 0 if inliers is None else int(inliers.sum())


def count_matches(a: NDArray[np.float32], b: NDArray[np.float32], how: Matching) -> int:
    """Key points that two images share.

    Args:
        a: (n, 2 + D) x, y and descriptor of each key point.
        b: (k, 2 + D).
        how: When two match.
    """
    pairs = match(a[:, 2:], b[:, 2:], how)
    if how.reprojection is None:
        return len(pairs)
    return agreeing(a[pairs[:, 0], :2], b[pairs[:, 1], :2], how.reprojection)
