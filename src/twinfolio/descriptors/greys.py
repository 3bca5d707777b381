"""Images as the classical detectors take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_grey(image: NDArray[np.uint8], enlarge: float = 1.0) -> NDArray[np.uint8]:
    """The grey image (H, W), enlarged by cubic interpolation.

    Args:
        image: uint8 (H, W, C) with one or three (RGB) channels.
        enlarge: Factor of both sides; detectors find next to nothing in images of less than about 100 pixels.

    Raises:
        ValueError: Another type or another number of channels.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(f"an image must be uint8 (H, W, 1 or 3), not {image.dtype} {image.shape}")
    grey = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    if enlarge != 1.0:
        grey = cv2.resize(np.ascontiguousarray(grey), None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(grey, np.uint8)
