"""ORB: oriented FAST corners with rotated BRIEF bits (Rublee, Rabaud, Konolige & Bradski 2011), by OpenCV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BITS = 256


def orb(grey: NDArray[np.uint8], most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Key points (n, 2) as x, y in pixels and their bits (n, 256), 0 or 1, strongest first.

    Args:
        grey: uint8 (H, W).
        most: Most key points.
    """
    import cv2

    points, packed = cv2.ORB.create(nfeatures=most).detectAndCompute(grey, None)
    if packed is None:
        return np.empty((0, 2), np.float32), np.empty((0, BITS), np.float32)
    strongest = np.argsort([-point.response for point in points], kind="stable")[:most]
    places = np.array([point.pt for point in points], np.float32)[strongest]
    return places, np.unpackbits(packed[strongest], axis=1).astype(np.float32)
