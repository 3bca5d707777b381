"""What OpenCV's detectors find, as arrays, strongest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import cv2


def detected(
    detector: cv2.Feature2D, grey: NDArray[np.uint8], most: int
) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Key points (n, 2) as x, y in pixels and the detector's own descriptors (n, D), strongest first; None for none.

    Args:
        detector: Of OpenCV.
        grey: uint8 (H, W).
        most: Most key points: some detectors give one more where two are equally strong.
    """
    import cv2

    points, descriptors = detector.detectAndCompute(grey, None)
    if descriptors is None:
        return np.empty((0, 2), np.float32), None
    strongest = np.argsort([-point.response for point in points], kind="stable")[:most]
    return np.asarray(cv2.KeyPoint.convert(points), np.float32)[strongest], descriptors[strongest]
