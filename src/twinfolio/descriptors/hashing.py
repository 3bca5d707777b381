"""Perceptual hashes of 64 bits: average, difference, DCT and wavelet, by imagehash."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

HashKind = Literal["ahash", "dhash", "phash", "whash"]
HASHES: tuple[HashKind, ...] = get_args(HashKind)
BITS = 64


def hash_bits(image: NDArray[np.uint8], kind: HashKind) -> NDArray[np.float32]:
    """The hash of an image as 64 values of 0 or 1.

    Args:
        image: uint8 (H, W, C) with one or three (RGB) channels.
        kind: ``ahash`` (above the mean), ``dhash`` (rising to the right), ``phash`` (DCT) or ``whash`` (Haar).
    """
    import imagehash
    from PIL import Image

    functions = {
        "ahash": imagehash.average_hash,
        "dhash": imagehash.dhash,
        "phash": imagehash.phash,
        "whash": imagehash.whash,
    }
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else np.ascontiguousarray(image))
    return np.asarray(functions[kind](picture).hash, np.float32).ravel()


def hash_scores(query: ArrayLike, gallery: ArrayLike) -> NDArray[np.float64]:
    """Shares (Q, M) of equal bits, of hashes (Q, 64) and (M, 64): 1 minus Hamming's distance over 64."""
    q, g = np.asarray(query, np.float64), np.asarray(gallery, np.float64)
    return np.asarray((q @ g.T + (1 - q) @ (1 - g).T) / q.shape[1])
