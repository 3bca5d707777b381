"""The heads on arrays, without torch: a gallery prepared once, then any number of queries against it.

They equal ``twinfolio.models.heads`` to 1e-5 of the largest logit, and order alike wherever logits differ by more (a
law holds them to it). Higher = more similar.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from twinfolio.retrieval.parts import in_parts

Floats = NDArray[np.float32]
EPS = 1e-6
"""Norms below this count as this."""
_BLOCK_CELLS, _AT_LEAST = 4_000_000, 16
"""Scores held at once, and queries that share a pass over a gallery so long that they hold more."""
_FEW, _SHORT = 3, 1024
"""Up to so many queries and places FAISS's search, which keeps no scores, beats all scores at once."""


class Scorer(ABC):
    """Logits of pairs of embeddings; the gallery is given once."""

    compiled = True
    """Whether ``pairwise`` runs compiled kernels, which take a second to load."""

    def __init__(self, gallery: Floats) -> None:
        self.gallery = np.ascontiguousarray(gallery, dtype=np.float32)

    @abstractmethod
    def pairwise(self, queries: Floats) -> Floats:
        """Logits (Q, M) of all rows of ``queries`` (Q, D) with the whole gallery."""

    @abstractmethod
    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """Logits (Q, K) of each query (Q, D) with its own gallery rows (Q, K), by the head's definition."""

    def nearest(self, queries: Floats, places: int) -> NDArray[np.int64]:
        """Gallery rows (Q, places) of the highest logits of a fast pass, in no order; candidates for ``paired``."""
        from twinfolio.retrieval import kernels

        block = max(_AT_LEAST, _BLOCK_CELLS // len(self.gallery))
        starts = range(0, len(queries), block)
        found = [kernels.largest(self.pairwise(queries[start : start + block]), places) for start in starts]
        return np.concatenate(found)


BuildScorer = Callable[[Floats], Scorer]
"""From a gallery (M, D) to the head's scorer against it."""


def unit_rows(x: Floats) -> Floats:
    """Rows of ``x`` (N, D) at length 1."""
    norms = np.sqrt(np.einsum("nd,nd->n", x, x, dtype=np.float64))
    return np.asarray(x / np.maximum(norms, EPS)[:, None], dtype=np.float32)


def distances_to(name: str, queries: Floats, others: Floats) -> NDArray[np.float64]:
    """Distances (Q, K) of each query (Q, D) to its own rows (Q, K, D), summed in double precision."""
    if name == "cosine":
        q, y = (_double_units(part) for part in (queries, others))
        return np.asarray(np.maximum(1 - np.einsum("qd,qkd->qk", q, y), 0))
    difference = others.astype(np.float64) - queries[:, None]
    if name == "l1":
        return np.asarray(np.abs(difference).sum(-1))
    return np.asarray(np.sqrt(np.einsum("qkd,qkd->qk", difference, difference)))


def _double_units(x: Floats | NDArray[np.float64]) -> NDArray[np.float64]:
    double = x.astype(np.float64)
    return np.asarray(double / np.maximum(np.linalg.norm(double, axis=-1, keepdims=True), EPS))


class DistanceScorer(Scorer):
    """logit = offset - gain * distance, gain = exp(log_scale) * unit.

    Args:
        gallery: (M, D).
        distance: ``l1``, ``l2`` or ``cosine``.
        offset: Logit of equal embeddings.
        gain: Logits a unit of distance costs.
    """

    def __init__(self, gallery: Floats, distance: str, offset: float, gain: float) -> None:
        super().__init__(gallery)
        self.distance, self.offset, self.gain = distance, offset, gain
        self.rows = unit_rows(self.gallery) if distance == "cosine" else self.gallery
        self.compiled = distance != "cosine"

    def pairwise(self, queries: Floats) -> Floats:
        """See ``Scorer``."""
        logits = self.distances(queries)
        logits *= -self.gain
        logits += self.offset
        return logits

    def distances(self, queries: Floats) -> Floats:
        """Distances (Q, M) of all rows of ``queries`` (Q, D) to the whole gallery."""
        if self.distance == "cosine":
            cosines = unit_rows(queries) @ self.rows.T
            return np.asarray(np.maximum(np.subtract(1, cosines, out=cosines), 0, out=cosines))
        from twinfolio.retrieval import kernels

        if self.distance == "l1":
            return kernels.weighted_l1(queries, self.rows, np.ones(queries.shape[1], np.float32))
        squares = kernels.squared_l2(queries, self.rows)
        return np.asarray(np.sqrt(squares, out=squares))

    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """See ``Scorer``."""
        distances = distances_to(self.distance, queries, self.gallery[rows])
        return np.asarray(self.offset - self.gain * distances, dtype=np.float32)

    def nearest(self, queries: Floats, places: int) -> NDArray[np.int64]:
        """See ``Scorer``; for few queries by FAISS's exact search, each core its own rows."""
        if len(queries) > _FEW or places > _SHORT:
            return super().nearest(queries, places)
        import faiss

        metric = {"l1": faiss.METRIC_L1, "l2": faiss.METRIC_L2, "cosine": faiss.METRIC_INNER_PRODUCT}[self.distance]
        x = np.ascontiguousarray(unit_rows(queries) if self.distance == "cosine" else queries, dtype=np.float32)

        def search(part: slice) -> tuple[Floats, NDArray[np.int64]]:
            far, rows = faiss.knn(x, self.rows[part], min(places, part.stop - part.start), metric=metric)
            return -far if self.distance == "cosine" else far, rows + part.start

        far, rows = (np.concatenate(found, axis=1) for found in zip(*in_parts(self.rows.shape, search), strict=True))
        best = np.argpartition(far, places - 1, axis=1)[:, :places]
        return np.asarray(np.take_along_axis(rows, best, 1))


def distance_scorer(distance: str) -> BuildScorer:
    """A distance without a learned head: cosine similarity, or ``l1`` or ``l2`` below 0."""
    return lambda gallery: DistanceScorer(gallery, distance, 1.0 if distance == "cosine" else 0.0, 1.0)


class WeightedScorer(Scorer):
    """logit = sum_j w_j c_j + b (Khayyat et al., Eq. 2); one matrix product for L2 and cosine, one scan for L1.

    Args:
        gallery: (M, D).
        distance: ``l1``: c = |x - y|; ``l2``: (x - y)^2; ``cosine``: the product of the unit vectors.
        weight: (D,).
        bias: b.
    """

    def __init__(self, gallery: Floats, distance: str, weight: Floats, bias: float) -> None:
        super().__init__(gallery)
        self.distance, self.weight, self.bias = distance, weight, bias
        self.units = unit_rows(self.gallery) if distance == "cosine" else self.gallery
        # differences stay, and their expanded squares lose fewer digits
        self.mean = self.gallery.mean(0) if distance == "l2" else np.zeros(len(weight), np.float32)
        self.centred = self.gallery - self.mean
        self.squares = self.centred**2 @ weight
        self.compiled = distance == "l1"

    def pairwise(self, queries: Floats) -> Floats:
        """See ``Scorer``."""
        if self.distance == "cosine":
            return np.asarray((unit_rows(queries) * self.weight) @ self.units.T + self.bias, dtype=np.float32)
        if self.distance == "l2":
            x = queries - self.mean
            own = (x**2 @ self.weight)[:, None] + self.squares
            return np.asarray(own - 2 * (x * self.weight) @ self.centred.T + self.bias, dtype=np.float32)
        from twinfolio.retrieval import kernels

        return kernels.weighted_l1(queries, self.gallery, self.weight) + np.float32(self.bias)

    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """See ``Scorer``."""
        x, y = queries.astype(np.float64)[:, None], self.gallery[rows].astype(np.float64)
        if self.distance == "cosine":
            compared = np.asarray(_double_units(x) * _double_units(y))
        else:
            compared = np.abs(x - y) if self.distance == "l1" else (x - y) ** 2
        return np.asarray(compared @ self.weight + self.bias, dtype=np.float32)
