"""What retrieval reaches without learning: colour histograms, and cosine similarity of any features."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK_PIXELS = 4_000_000


def colour_histogram(images: NDArray[np.uint8], bins: int = 16, hellinger: bool = False) -> NDArray[np.float32]:
    """A histogram a channel, side by side.

    Args:
        images: Images (N, H, W, C) uint8; a memory map is read a block at a time.
        bins: Bins a channel, a divisor of 256.
        hellinger: Take the square root, so that a dot product is the Bhattacharyya coefficient.

    Returns:
        Histograms (N, C * bins) float32 of sum 1 (before the root).

    Raises:
        ValueError: Not uint8, not four dimensions, or bins do not divide 256.
    """
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 (N, H, W, C), not {images.dtype} {images.shape}")
    if bins < 1 or 256 % bins:
        raise ValueError(f"bins = {bins}: must divide 256")
    n_images, height, width, channels = images.shape
    width_out = channels * bins
    out = np.empty((n_images, width_out), dtype=np.float32)
    block = max(1, _BLOCK_PIXELS // (height * width * channels))
    shift = np.arange(channels, dtype=np.int64) * bins
    for start in range(0, n_images, block):
        part = np.asarray(images[start : start + block])
        place = part // (256 // bins) + shift + np.arange(len(part))[:, None, None, None] * width_out
        counts = np.bincount(place.ravel(), minlength=len(part) * width_out)
        out[start : start + block] = counts.reshape(len(part), width_out) / (height * width * channels)
    return np.sqrt(out) if hellinger else out


def cosine_scores(query: ArrayLike, gallery: ArrayLike) -> NDArray[np.float64]:
    """Cosine similarities (Q, M) of features (Q, D) and (M, D); a zero vector is similar to nothing (0)."""
    return np.asarray(_unit(query) @ _unit(gallery).T)


def _unit(features: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(features, dtype=np.float64)
    norm = np.linalg.norm(array, axis=1, keepdims=True)
    return np.asarray(np.divide(array, norm, out=np.zeros_like(array), where=norm > 0))
