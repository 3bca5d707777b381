"""Bags of visual words with tf-idf (Sivic & Zisserman 2003, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.local import LocalFeatures
from twinfolio.descriptors.vocabulary import Vocabulary


@dataclass(frozen=True)
class BagOfWords:
    """Counts words of an image.

    Attributes:
        vocabulary: The words.
        idf: (K,) weight of each word; ones leave it out.
    """

    vocabulary: Vocabulary
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, features: LocalFeatures, vocabulary: Vocabulary, idf: bool = True) -> BagOfWords:
        """Weigh each word by the logarithm of images over images that have it.

        Args:
            features: Of training images alone.
            vocabulary: The words.
            idf: Whether words are weighed at all.
        """
        counts = word_counts(features, vocabulary)
        having = np.maximum((counts > 0).sum(axis=0), 1)
        weights = np.log(max(len(features), 1) / having) if idf else np.ones(len(having))
        return cls(vocabulary, weights.astype(np.float32))

    def encode(self, features: LocalFeatures) -> NDArray[np.float32]:
        """Vectors (N, K): share of each word times its weight; zero for an image without a key point."""
        counts = word_counts(features, self.vocabulary)
        return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * self.idf)


def scaled(bags: NDArray[np.float32], distance: str) -> NDArray[np.float32]:
    """Bags (N, K) as a distance compares them (N, K + 1): of sum 1 for ``l1``, else of norm 1.

    The last word is that of images that have no other: these are as far from all others as two without a common word.
    """
    empty = ~bags.any(axis=1, keepdims=True)
    whole = np.hstack([bags, empty]).astype(np.float32)
    return np.asarray(whole / np.linalg.norm(whole, ord=1 if distance == "l1" else 2, axis=1, keepdims=True))


def word_counts(features: LocalFeatures, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """How often (N, K) each image has each word."""
    words = len(vocabulary.words)
    places = features.owners * words + vocabulary.nearest(features.descriptors)
    return np.bincount(places, minlength=len(features) * words).reshape(len(features), words).astype(np.float32)
