"""ORB: oriented FAST corners with rotated BRIEF bits (Rublee, Rabaud, Konolige & Bradski 2011), by OpenCV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.detected import detected

BITS = 256


def orb(grey: NDArray[np.uint8], most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Key points (n, 2) as x, y in pixels and their bits (n, 256), 0 or 1, strongest first.

    Args:
        grey: uint8 (H, W).
        most: Most key points.
    """
    import cv2

    points, packed = detected(cv2.ORB.create(nfeatures=most), grey, most)
    bits = np.empty((0, BITS)) if packed is None else np.unpackbits(packed, axis=1)
    return points, bits.astype(np.float32)
