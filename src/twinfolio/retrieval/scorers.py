"""The heads on arrays, without torch: a gallery prepared once, then any number of queries against it.

They equal ``twinfolio.models.heads`` to 1e-5 of the largest logit, and order alike wherever logits differ by more (a
law holds them to it). Higher = more similar.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import ModelError

Floats = NDArray[np.float32]
EPS = 1e-6
"""Norms below this count as this."""
_BLOCK_ROWS = 512
"""Gallery rows whose hidden layer (rows x 100 float32) stays in a core's cache."""


class Scorer(ABC):
    """Logits of pairs of embeddings; the gallery is given once."""

    def __init__(self, gallery: Floats) -> None:
        self.gallery = np.ascontiguousarray(gallery, dtype=np.float32)

    @abstractmethod
    def pairwise(self, queries: Floats) -> Floats:
        """Logits (Q, M) of all rows of ``queries`` (Q, D) with the whole gallery."""

    @abstractmethod
    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """Logits (Q, K) of each query (Q, D) with its own gallery rows (Q, K), by the head's definition."""


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
        self.index = _exact_index(distance, self.gallery)

    def pairwise(self, queries: Floats) -> Floats:
        """See ``Scorer``."""
        import faiss

        x, y = (unit_rows(part) if self.distance == "cosine" else part for part in (queries, self.gallery))
        if self.distance == "cosine":
            distances = np.maximum(1 - x @ y.T, 0)
        elif self.distance == "l1":
            distances = faiss.pairwise_distances(np.ascontiguousarray(x), y, metric=faiss.METRIC_L1)
        else:
            distances = np.sqrt(faiss.pairwise_distances(np.ascontiguousarray(x), y))
        return np.asarray(self.offset - self.gain * distances, dtype=np.float32)

    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """See ``Scorer``."""
        distances = distances_to(self.distance, queries, self.gallery[rows])
        return np.asarray(self.offset - self.gain * distances, dtype=np.float32)

    def nearest(self, queries: Floats, k: int) -> NDArray[np.int64]:
        """Gallery rows (Q, k) of the smallest distances, by FAISS's exact search; candidates, to be scored again."""
        x = unit_rows(queries) if self.distance == "cosine" else queries
        return np.asarray(self.index.search(np.ascontiguousarray(x, dtype=np.float32), k)[1])


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

    def pairwise(self, queries: Floats) -> Floats:
        """See ``Scorer``."""
        if self.distance == "cosine":
            return np.asarray((unit_rows(queries) * self.weight) @ self.units.T + self.bias, dtype=np.float32)
        if self.distance == "l2":
            x = queries - self.mean
            own = (x**2 @ self.weight)[:, None] + self.squares
            return np.asarray(own - 2 * (x * self.weight) @ self.centred.T + self.bias, dtype=np.float32)
        out = np.empty((len(queries), len(self.gallery)), np.float32)
        for start in range(0, len(self.gallery), _BLOCK_ROWS):
            block = self.gallery[start : start + _BLOCK_ROWS]
            for query, row in zip(queries, out, strict=True):
                row[start : start + len(block)] = np.abs(block - query) @ self.weight
        return out + np.float32(self.bias)

    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """See ``Scorer``."""
        x, y = queries.astype(np.float64)[:, None], self.gallery[rows].astype(np.float64)
        if self.distance == "cosine":
            compared = np.asarray(_double_units(x) * _double_units(y))
        else:
            compared = np.abs(x - y) if self.distance == "l1" else (x - y) ** 2
        return np.asarray(compared @ self.weight + self.bias, dtype=np.float32)


@dataclass(frozen=True)
class FusionWeights:
    """The two layers of Khayyat et al., Table 2: [lambda, x^2 - y^2, (x - y)^2] -> hidden -> 1.

    Attributes:
        scalar: (H,) on lambda.
        squares: (H, D) on x^2 - y^2.
        difference: (H, D) on (x - y)^2.
        bias: (H,).
        out: (H,).
        out_bias: Of the logit.
    """

    scalar: Floats
    squares: Floats
    difference: Floats
    bias: Floats
    out: Floats
    out_bias: float

    @classmethod
    def of(cls, state: Mapping[str, Floats]) -> FusionWeights:
        """Out of a head's tensors: ``hidden.weight`` (H, 2 D + 1), ``hidden.bias``, ``out.weight``, ``out.bias``."""
        hidden = state["hidden.weight"]
        dim = hidden.shape[1] // 2
        scalar, squares, difference = hidden[:, 0], hidden[:, 1 : dim + 1], hidden[:, dim + 1 :]
        return cls(
            scalar=np.ascontiguousarray(scalar, np.float32),
            squares=np.ascontiguousarray(squares, np.float32),
            difference=np.ascontiguousarray(difference, np.float32),
            bias=state["hidden.bias"],
            out=state["out.weight"][0],
            out_bias=float(state["out.bias"][0]),
        )


class FusionScorer(Scorer):
    """Both orders' mean logit, factorised: a gallery part once, a query part, one matrix product, lambda apart.

    (x - y)^2 = x^2 + y^2 - 2 x y, so the first layer is common +- order with common = G(y) + Q(x) - 2 (W x) y +
    w lambda and order = S(x) - S(y); and relu(c + o) + relu(c - o) = max(0, c + |o|, 2 c).

    Args:
        gallery: (M, D).
        distance: ``l1``, ``l2`` or ``cosine``: which lambda.
        weights: The two layers.
    """

    def __init__(self, gallery: Floats, distance: str, weights: FusionWeights) -> None:
        super().__init__(gallery)
        self.distance, self.weights = distance, weights
        self.mean = self.gallery.mean(0)
        self.centred = self.gallery - self.mean
        self.common = weights.difference @ (self.centred**2).T + weights.bias[:, None]
        self.order = weights.squares @ (self.gallery**2).T
        self.distances = DistanceScorer(self.gallery, distance, 0.0, -1.0)

    def pairwise(self, queries: Floats) -> Floats:
        """See ``Scorer``."""
        out = np.empty((len(queries), len(self.gallery)), np.float32)
        scalar = self._lambda(self.distances.pairwise(queries))
        x = queries - self.mean
        own, order = x**2 @ self.weights.difference.T, queries**2 @ self.weights.squares.T
        hidden = len(self.weights.out)
        # one matrix product for all queries: (Q H, D) x (D, block)
        cross = (x[:, None] * (-2 * self.weights.difference)).reshape(-1, x.shape[1])
        for start in range(0, len(self.gallery), _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            product = (cross @ self.centred[part].T).reshape(len(queries), hidden, -1)
            for q in range(len(queries)):
                out[q, part] = self._second_layer(product[q], scalar[q, part], own[q], order[q], part)
        return out

    def _second_layer(self, common: Floats, scalar: Floats, own: Floats, order: Floats, part: slice) -> Floats:
        """From the cross term (H, m) of one query to logits (m,); works in place."""
        weights = self.weights
        common += self.common[:, part]
        common += np.multiply.outer(weights.scalar, scalar)
        common += own[:, None]
        other = order[:, None] - self.order[:, part]
        np.abs(other, out=other)
        other += common
        common *= 2
        np.maximum(common, other, out=common)
        np.maximum(common, 0, out=common)
        return np.asarray(0.5 * (weights.out @ common) + weights.out_bias, dtype=np.float32)

    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """See ``Scorer``."""
        weights = self.weights
        scalar = self._lambda(distances_to(self.distance, queries, self.gallery[rows]))[..., None]
        x, y = queries.astype(np.float64)[:, None], self.gallery[rows].astype(np.float64)
        common = (x - y) ** 2 @ weights.difference.T + scalar * weights.scalar + weights.bias
        order = (x**2 - y**2) @ weights.squares.T
        both = np.maximum(common + order, 0) + np.maximum(common - order, 0)
        return np.asarray(0.5 * both @ weights.out + weights.out_bias, dtype=np.float32)

    def _lambda(self, distance: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float32]:
        if self.distance == "cosine":
            return np.asarray(1 - distance, dtype=np.float32)
        unit = self.gallery.shape[1] if self.distance == "l1" else math.sqrt(self.gallery.shape[1])
        return np.asarray(distance / unit, dtype=np.float32)


def build_scorer(kind: str, distance: str, state: Mapping[str, Floats], gallery: Floats) -> Scorer:
    """A head's scorer for a gallery.

    Args:
        kind: ``distance``, ``weighted`` or ``fusion``.
        distance: ``l1``, ``l2`` or ``cosine``.
        state: The head's tensors by name.
        gallery: (M, D).

    Raises:
        ModelError: Unknown kind.
    """
    if kind == "distance":
        unit = 1 / math.sqrt(gallery.shape[1]) if distance == "l1" else 1.0
        gain = math.exp(float(state["log_scale"])) * unit
        return DistanceScorer(gallery, distance, float(state["offset"]), gain)
    if kind == "weighted":
        return WeightedScorer(gallery, distance, np.asarray(state["weight"], np.float32), float(state["bias"]))
    if kind == "fusion":
        return FusionScorer(gallery, distance, FusionWeights.of(state))
    raise ModelError(f"head = {kind!r} is unknown", "choose one of distance, weighted, fusion")


def _exact_index(distance: str, gallery: Floats) -> Any:
    import faiss

    metric = {"l1": faiss.METRIC_L1, "l2": faiss.METRIC_L2, "cosine": faiss.METRIC_INNER_PRODUCT}[distance]
    index = faiss.IndexFlat(gallery.shape[1], metric)
    index.add(unit_rows(gallery) if distance == "cosine" else gallery)
    return index
