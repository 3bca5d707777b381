"""VLAD: sums of residuals a visual word (Jegou, Douze, Schmid & Perez 2010).

Power and L2 normalisation as in Jegou et al. 2012, section 3.2; each word's sum to norm 1 first as in Arandjelovic &
Zisserman 2013, section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.local import LocalFeatures
from twinfolio.descriptors.vocabulary import Vocabulary


def vlad(
    features: LocalFeatures, vocabulary: Vocabulary, *, power: float = 0.5, intra: bool = True
) -> NDArray[np.float32]:
    """Vectors (N, K * D) of norm 1; zero for an image without a key point.

    Args:
        features: Of N images.
        vocabulary: K words.
        power: Exponent of each value's size; 1 leaves values as they are.
        intra: Bring each word's sum to norm 1, so that no frequent word outweighs the others.
    """
    words, width = vocabulary.words.shape
    out = np.zeros((len(features), words, width), np.float32)
    nearest = vocabulary.nearest(features.descriptors)
    for i in range(len(features)):
        rows = slice(features.ends[i], features.ends[i + 1])
        of_word = (nearest[rows] == np.arange(words)[:, None]).astype(np.float32)  # a product is faster than scattering
        out[i] = of_word @ (features.descriptors[rows] - vocabulary.words[nearest[rows]])
    out = np.copysign(np.abs(out) ** np.float32(power), out)
    if intra:
        out = _unit(out)
    return _unit(out.reshape(len(features), -1))


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Norm 1 along the last axis; zero stays zero."""
    norm = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(np.divide(values, norm, out=np.zeros_like(values), where=norm > 0))
