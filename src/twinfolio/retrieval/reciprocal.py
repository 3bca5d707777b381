"""k-reciprocal re-ranking of a query's candidates: who counts whom among his nearest, and the other way round.

Source: Zhong et al. 2017, "Re-ranking person re-identification with k-reciprocal encoding". All neighbour lists are
taken among the query and its candidates, not the whole gallery, so that one query costs O(candidates^2) whatever the
gallery holds. As in the authors' program, an item is the first of its own neighbours, and encodings have sum 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Reciprocal:
    """What the re-ranking is set to.

    Attributes:
        k1: Neighbours whose reciprocity is asked.
        k2: Neighbours, the item itself among them, whose encodings are averaged.
        weight: lambda of Eq. 12, the share of the first similarity, above 0: it alone orders what is no candidate.
        candidates: Images re-ranked.

    Raises:
        ValueError: A value is out of its bounds.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3
    candidates: int = 100

    def __post_init__(self) -> None:
        if min(self.k1, self.k2, self.candidates) < 1 or not 0 < self.weight <= 1:
            raise ValueError(f"{self}: counts must be >= 1 and the weight in (0, 1]")

    def scores(self, similarity: Doubles) -> Doubles:
        """1 - d* of the candidates, d* = (1 - lambda) d_J + lambda d (Eq. 12), d = 1 - similarity.

        Args:
            similarity: (1 + N, 1 + N) in [0, 1], symmetric, the query first.

        Returns:
            (N,) in [0, 1]. Images that are no candidates share no neighbour with the query: d_J = 1, and their score is
            ``weight`` * similarity, which no candidate's is below.
        """
        jaccard = jaccard_similarity(similarity, self.k1, self.k2)
        return np.asarray((1 - self.weight) * jaccard + self.weight * similarity[0, 1:])


def jaccard_similarity(similarity: Doubles, k1: int, k2: int) -> Doubles:
    """1 - d_J of the first item with all others (Eq. 10), by their k-reciprocal encodings (Eq. 3 to 11).

    Args:
        similarity: (N, N) in [0, 1], symmetric.
        k1: See ``Reciprocal``.
        k2: See ``Reciprocal``.

    Returns:
        (N - 1,) in [0, 1].
    """
    ranked = similarity.copy()
    np.fill_diagonal(ranked, np.inf)  # even beside its duplicates an item is its own first neighbour
    order = np.argsort(-ranked, axis=1, kind="stable")
    sets = _expanded(_mutual(order, k1 + 1), _mutual(order, round(k1 / 2) + 1))
    own = similarity.copy()
    np.fill_diagonal(own, 1.0)
    encoding = np.where(sets, np.exp(own - 1), 0.0)  # Eq. 7
    encoding /= encoding.sum(1, keepdims=True)
    encoding = encoding[order[:, :k2]].mean(1)  # Eq. 11
    shared = np.minimum(encoding[0], encoding[1:]).sum(1)
    return np.asarray(shared / (2 - shared))  # both have sum 1, so the sum of maxima is 2 - shared


def _mutual(order: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Whether each of two items is among the other's first k (N, N): R(p, k) as rows (Eq. 3)."""
    near = np.zeros(order.shape, np.bool_)
    np.put_along_axis(near, order[:, :k], True, axis=1)
    return np.asarray(near & near.T)


def _expanded(mutual: NDArray[np.bool_], half: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """R*(p, k1): R(p, k1) and the R(q, k1 / 2) of its members q that lie in it by two thirds (Eq. 5)."""
    counts = half.astype(np.float64)
    inside = mutual.astype(np.float64) @ counts.T  # (p, q): how many of q's half set are in p's set; whole numbers
    joins = mutual & (3 * inside >= 2 * counts.sum(1))
    return np.asarray(mutual | (joins.astype(np.float64) @ counts > 0))
