"""A visual vocabulary: k-means over local descriptors of training images (Sivic & Zisserman 2003), by FAISS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.local import LocalFeatures
from twinfolio.errors import DataError

_ROUNDS = 25
_MOST = 256
"""Descriptors a word that k-means looks at: FAISS's own default."""
_ROWS = 65_536


@dataclass(frozen=True)
class Vocabulary:
    """Words as points among descriptors.

    Attributes:
        words: (K, D).
    """

    words: NDArray[np.float32]

    @classmethod
    def fit(cls, features: LocalFeatures, words: int, seed: int = 0) -> Vocabulary:
        """Find words among descriptors.

        Args:
            features: Of training images alone.
            words: K.
            seed: Of the sample and of the first words.

        Raises:
            DataError: Fewer descriptors than words.
        """
        import faiss

        if len(features.descriptors) < words:
            raise DataError(
                f"{words} visual words from {len(features.descriptors)} key points of {len(features)} images",
                "ask for fewer words, or enlarge the images",
            )
        means = faiss.Kmeans(
            features.descriptors.shape[1], words, niter=_ROUNDS, seed=seed,
            min_points_per_centroid=1, max_points_per_centroid=_MOST,
        )  # fmt: skip
        means.train(np.ascontiguousarray(features.descriptors, np.float32))
        return cls(np.asarray(means.centroids, np.float32).reshape(words, -1))

    def nearest(self, descriptors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Word (T,) nearest to each descriptor (T, D)."""
        out = np.empty(len(descriptors), np.int64)
        half_norms = 0.5 * (self.words**2).sum(axis=1)
        for start in range(0, len(descriptors), _ROWS):
            part = descriptors[start : start + _ROWS]
            out[start : start + _ROWS] = (part @ self.words.T - half_norms).argmax(axis=1)
        return out
