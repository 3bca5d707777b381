"""Smooth random fields."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]


def smooth_noise(height: int, width: int, wavelength: float, rng: np.random.Generator) -> Field:
    """Gaussian noise of unit spread on a coarse grid, made smooth: (height, width), ``wavelength`` in pixels."""
    rows, columns = max(round(height / wavelength), 1) + 3, max(round(width / wavelength), 1) + 3
    grid = rng.standard_normal((rows, columns)).astype(np.float32)
    size = (round(columns * wavelength) + 1, round(rows * wavelength) + 1)
    full: Field = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    y, x = (full.shape[0] - height) // 2, (full.shape[1] - width) // 2
    return full[max(y, 0) : max(y, 0) + height, max(x, 0) : max(x, 0) + width]
