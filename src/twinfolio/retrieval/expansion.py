"""Vectors blended with those of their neighbours: of a query, or of every gallery image.

Sources: Chum et al. 2007, "Total recall" (average query expansion); Radenovic et al. 2018, "Fine-tuning CNN image
retrieval with no human annotation", section 3.4 (alpha query expansion: weights similarity^alpha); Arandjelovic &
Zisserman 2012, "Three things everyone should know to improve object retrieval", section 4 (the same on the database's
side).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.retrieval.scorers import EPS, Floats


@dataclass(frozen=True)
class Expansion:
    """How a vector is blended with its neighbours.

    Attributes:
        n: Neighbours.
        alpha: A neighbour's weight is similarity^alpha, its own is 1; 0: the plain average.

    Raises:
        ValueError: n is below 1 or alpha below 0.
    """

    n: int = 5
    alpha: float = 3.0

    def __post_init__(self) -> None:
        if self.n < 1 or self.alpha < 0:
            raise ValueError(f"n = {self.n}, alpha = {self.alpha}: no such expansion")

    def weights(self, similarity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights (n,) of neighbours from their similarity (n,) in [0, 1]."""
        return np.asarray(similarity**self.alpha, dtype=np.float64)


def blend(own: Floats, others: Floats, weights: NDArray[np.float64]) -> Floats:
    """Weighted means with the neighbours, each brought back to its own length.

    The length is kept because not every head ignores it; with unit vectors this is the normalisation of the papers.

    Args:
        own: (T, D), with weight 1.
        others: (n, D).
        weights: (n,), >= 0.

    Returns:
        (T, D) float32.
    """
    wide = own.astype(np.float64)
    mixed = wide + weights @ others.astype(np.float64).reshape(len(weights), own.shape[1])
    lengths, new = (np.linalg.norm(x, axis=1, keepdims=True) for x in (wide, mixed))
    return np.asarray(mixed * (lengths / np.maximum(new, EPS)), dtype=np.float32)
