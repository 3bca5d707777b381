"""The fusion head on arrays: its first layer taken apart, so that a query costs one matrix product."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.retrieval.scorers import DistanceScorer, Floats, Scorer, distances_to

_PART_ROWS = 4096
_FUSION_QUERIES, _FUSION_CELLS = 64, 6_600_000
"""Queries whose first layers are one matrix, and products (25 MiB) at a time: fewer slow the matrix product down."""


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
    w lambda and order = S(x) - S(y); and relu(c + o) + relu(c - o) = max(0, c + |o|, 2 c). G and S are kept in double
    precision, in which the sum is the head's own to 1e-13; the product of all pairs is in single precision.

    Args:
        gallery: (M, D).
        distance: ``l1``, ``l2`` or ``cosine``: which lambda.
        weights: The two layers.
    """

    def __init__(self, gallery: Floats, distance: str, weights: FusionWeights) -> None:
        super().__init__(gallery)
        self.distance, self.weights = distance, weights
        self.squares, self.difference = (part.T.astype(np.float64) for part in (weights.squares, weights.difference))
        self.mean = self.gallery.mean(0)
        self.centred = self.gallery - self.mean
        self.common, self.order = np.empty((2, len(self.gallery), len(weights.out)))
        for start in range(0, len(self.gallery), _PART_ROWS):
            part = slice(start, start + _PART_ROWS)
            self.common[part], self.order[part] = self._own_part(self.gallery[part])
        self.common += weights.bias
        self.distances = DistanceScorer(self.gallery, distance, 0.0, -1.0)

    def pairwise(self, queries: Floats) -> Floats:
        """See ``Scorer``."""
        starts = range(0, len(queries), _FUSION_QUERIES)
        return np.concatenate([self._pairwise(queries[start : start + _FUSION_QUERIES]) for start in starts])

    def _pairwise(self, queries: Floats) -> Floats:
        from twinfolio.retrieval import kernels

        weights, x = self.weights, queries - self.mean
        scalar = self._lambda(self.distances.distances(queries))
        common, order = (part.astype(np.float32) for part in self._own_part(queries))
        # all queries side by side in one matrix product: (block, D) x (D, Q H)
        cross = (x.T[:, :, None] * (-2 * weights.difference.T)[:, None]).reshape(x.shape[1], -1)
        rows = min(len(self.gallery), max(1, _FUSION_CELLS // cross.shape[1]))
        out = np.empty((len(queries), len(self.gallery)), np.float32)
        product = np.empty((rows, cross.shape[1]), np.float32)
        for start in range(0, len(self.gallery), rows):
            part = slice(start, start + rows)
            gallery = self.common[part], self.order[part]
            block = np.matmul(self.centred[part], cross, out=product[: len(gallery[0])])
            hidden = kernels.fusion_second_layer(
                block, gallery, (common, order), scalar[:, part], (weights.scalar, weights.out)
            )
            out[:, part] = 0.5 * hidden + weights.out_bias
        return out

    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """See ``Scorer``."""
        weights = self.weights
        scalar = self._lambda(distances_to(self.distance, queries, self.gallery[rows]))[..., None]
        x, y = (side.astype(np.float64) - self.mean for side in (queries[:, None], self.gallery[rows]))
        own, order = (part[:, None] for part in self._own_part(queries))
        cross = (x * y).reshape(-1, x.shape[-1]) @ self.difference
        common = self.common[rows] + own - 2 * cross.reshape(*rows.shape, -1) + scalar * weights.scalar
        other = np.abs(order - self.order[rows])
        both = np.maximum(np.maximum(common + other, 2 * common), 0)
        return np.asarray(0.5 * both @ weights.out + weights.out_bias, dtype=np.float32)

    def _own_part(self, x: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What one side alone adds to the first layer (N, H): under the difference, and under the squares."""
        double = x.astype(np.float64)
        return (double - self.mean) ** 2 @ self.difference, double**2 @ self.squares

    def _lambda(self, distance: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float32]:
        if self.distance == "cosine":
            return np.asarray(1 - distance, dtype=np.float32)
        unit = self.gallery.shape[1] if self.distance == "l1" else math.sqrt(self.gallery.shape[1])
        return np.asarray(distance / unit, dtype=np.float32)
