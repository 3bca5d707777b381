"""L1, L2 and cosine distance between embeddings: paired and all pairs, differentiable, without an N x M x D array."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from twinfolio.errors import ModelError

EPS = 1e-6
"""Norms below this count as this: a zero embedding has a cosine of 0 and finite gradients."""


class Distance(NamedTuple):
    """A distance as its two functions.

    Attributes:
        paired: (N, D), (N, D) -> (N,).
        pairwise: (N, D), (M, D) -> (N, M).
        unit: D -> the factor that brings distances on the unit sphere to a common measure.
    """

    paired: Callable[[Tensor, Tensor], Tensor]
    pairwise: Callable[[Tensor, Tensor], Tensor]
    unit: Callable[[int], float]


def unit_vectors(x: Tensor) -> Tensor:
    """Rows of ``x`` (N, D) at length 1."""
    return F.normalize(x, dim=-1, eps=EPS)


def paired_distance(name: str, x: Tensor, y: Tensor) -> Tensor:
    """Distances of corresponding rows.

    Args:
        name: ``l1`` (sum of absolute differences), ``l2`` (Euclidean) or ``cosine`` (1 - cosine).
        x: Embeddings (N, D).
        y: Embeddings (N, D).

    Returns:
        (N,), at least 0; the gradient of L1 and L2 between equal rows is 0.
    """
    return _lookup(name).paired(x, y)


def pairwise_distance(name: str, x: Tensor, y: Tensor) -> Tensor:
    """Distances of all rows of ``x`` (N, D) to all rows of ``y`` (M, D), as (N, M); see ``paired_distance``."""
    return _lookup(name).pairwise(x, y)


def distance_unit(name: str, dim: int) -> float:
    """The factor that makes a margin, a temperature or a scale mean the same for each distance on the unit sphere.

    Cosine and L2 reach 2 there; L1 reaches 2 sqrt(D), hence 1 / sqrt(D) for it and 1 for the others.
    """
    return _lookup(name).unit(dim)


def _lookup(name: str) -> Distance:
    try:
        return DISTANCES[name]
    except KeyError:
        raise ModelError(f"distance = {name!r} is unknown", f"choose one of {', '.join(DISTANCES)}") from None


def _l1(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs().sum(-1)


def _l1_all(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, p=1.0)


def _l2(x: Tensor, y: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(x - y, dim=-1)
    return norms


def _l2_all(x: Tensor, y: Tensor) -> Tensor:
    # |x|^2 + |y|^2 - 2xy by matrix product loses the digits of small distances, which are the ones that rank
    return torch.cdist(x, y, p=2.0, compute_mode="donot_use_mm_for_euclid_dist")


def _cosine(x: Tensor, y: Tensor) -> Tensor:
    return (1 - (unit_vectors(x) * unit_vectors(y)).sum(-1)).clamp_min(0)


def _cosine_all(x: Tensor, y: Tensor) -> Tensor:
    return (1 - unit_vectors(x) @ unit_vectors(y).T).clamp_min(0)


DISTANCES: dict[str, Distance] = {
    "l1": Distance(_l1, _l1_all, lambda dim: 1 / math.sqrt(dim)),
    "l2": Distance(_l2, _l2_all, lambda dim: 1.0),
    "cosine": Distance(_cosine, _cosine_all, lambda dim: 1.0),
}
"""The distances by name."""
