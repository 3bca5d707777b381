"""Perceptual hashes of 64 bits: average, difference, DCT and wavelet, by imagehash."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

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
