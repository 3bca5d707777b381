"""Heads: two embeddings to one logit, for corresponding rows and for all pairs, symmetric, higher = more similar."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinfolio.errors import ModelError
from twinfolio.models.distances import distance_unit, paired_distance, pairwise_distance, unit_vectors

START_SCALE = 10.0
"""Logits a unit of distance is worth before training."""
BLOCK_ELEMENTS = 1 << 23
"""Most elements of a block's intermediate array in ``FusionHead.pairwise`` (32 MiB of float32)."""


class PairScorer(Protocol):
    """What scores pairs of embeddings; higher = more similar."""

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores (N,) of corresponding rows of ``x`` (N, D) and ``y`` (N, D)."""

    def pairwise(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores (N, M) of all rows of ``x`` (N, D) with all rows of ``y`` (M, D)."""


class Head(nn.Module, ABC):
    """Scores of pairs of embeddings, as logits of "the same class".

    Args:
        distance: ``l1``, ``l2`` or ``cosine``.
        dim: D, width of the embeddings.
    """

    kind: ClassVar[str]

    def __init__(self, distance: str, dim: int) -> None:
        super().__init__()
        self.distance, self.dim = distance, dim
        self.unit = distance_unit(distance, dim)

    @abstractmethod
    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits (N,) of corresponding rows of ``x`` (N, D) and ``y`` (N, D)."""

    @abstractmethod
    def pairwise(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits (N, M) of all rows of ``x`` (N, D) with all rows of ``y`` (M, D)."""

    @abstractmethod
    def similarity(self, logits: Tensor) -> Tensor:
        """Logits on the measure that temperatures and margins are given in: equal embeddings have about 1.

        On the unit sphere, before training, it is the cosine, or 1 - L2, or 1 - L1 / sqrt(D).
        """

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The same as ``paired``."""
        return self.paired(x, y)


class DistanceHead(Head):
    """logit = offset - exp(log_scale) * unit * distance: ranks as the distance does, whatever is learned.

    ``unit`` is ``distances.distance_unit``.
    """

    kind = "distance"

    def __init__(self, distance: str, dim: int) -> None:
        super().__init__(distance, dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(START_SCALE)))
        self.offset = nn.Parameter(torch.tensor(START_SCALE / 2))

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """See ``Head``."""
        return self._logit(paired_distance(self.distance, x, y))

    def pairwise(self, x: Tensor, y: Tensor) -> Tensor:
        """See ``Head``."""
        return self._logit(pairwise_distance(self.distance, x, y))

    def similarity(self, logits: Tensor) -> Tensor:
        """1 - unit * distance."""
        return 1 - (self.offset - logits) * torch.exp(-self.log_scale)

    def _logit(self, distance: Tensor) -> Tensor:
        return self.offset - torch.exp(self.log_scale) * self.unit * distance


class WeightedHead(Head):
    """Khayyat et al., Eq. 2: logit = sum_j w_j c_j + b, with c the elementwise comparison; D + 1 parameters.

    c is ``|x - y|`` for L1, ``(x - y)^2`` for L2 and the product of the normalised embeddings for cosine. The weights
    start at -1 on differences and at +1 on products: at first the head is minus L1, minus squared L2, or the cosine.
    """

    kind = "weighted"

    def __init__(self, distance: str, dim: int) -> None:
        super().__init__(distance, dim)
        if distance == "l2":
            self.unit = 0.5  # half the squared distance of unit vectors is 1 - cosine
        self.weight = nn.Parameter(torch.full((dim,), 1.0 if distance == "cosine" else -1.0))
        self.bias = nn.Parameter(torch.zeros(()))

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """See ``Head``."""
        if self.distance == "cosine":
            compared = unit_vectors(x) * unit_vectors(y)
        else:
            compared = (x - y).abs() if self.distance == "l1" else (x - y).square()
        return (compared * self.weight).sum(-1) + self.bias

    def pairwise(self, x: Tensor, y: Tensor) -> Tensor:
        """See ``Head``."""
        if self.distance == "cosine":
            return (unit_vectors(x) * self.weight) @ unit_vectors(y).T + self.bias
        if self.distance == "l1":
            gain, loss = F.relu(self.weight), F.relu(-self.weight)  # a weight below 0 cannot go inside |x - y|
            return torch.cdist(x * gain, y * gain, p=1.0) - torch.cdist(x * loss, y * loss, p=1.0) + self.bias
        x, y = _centred(x, y)
        squares = (x.square() @ self.weight)[:, None] + y.square() @ self.weight
        return squares - 2 * (x * self.weight) @ y.T + self.bias

    def similarity(self, logits: Tensor) -> Tensor:
        """Without the bias, in the distance's unit; 1 for equal embeddings under a difference."""
        return (logits - self.bias) * self.unit + (0.0 if self.distance == "cosine" else 1.0)


class FusionHead(Head):
    """Khayyat et al., Table 2: [lambda, x^2 - y^2, (x - y)^2] -> 100 -> 1, the mean of the logits of both orders.

    lambda is the cosine, L1 / D or L2 / sqrt(D). ReLU and dropout .01 are the public template's (the paper names none).
    100 (2 D + 1) + 100 + 101 parameters.

    Args:
        distance: ``l1``, ``l2`` or ``cosine``: which lambda.
        dim: D, width of the embeddings.
        hidden: Width of the hidden layer.
        dropout: Dropout on the hidden layer.
    """

    kind = "fusion"

    def __init__(self, distance: str, dim: int, hidden: int = 100, dropout: float = 0.01) -> None:
        super().__init__(distance, dim)
        self.hidden = nn.Linear(2 * dim + 1, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, 1)

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """See ``Head``."""
        scalar = self._lambda(paired_distance(self.distance, x, y))[:, None]
        squares, difference = x.square() - y.square(), (x - y).square()
        orders = [torch.cat([scalar, sign * squares, difference], dim=1) for sign in (1, -1)]
        logits = [self.out(self.dropout(F.relu(self.hidden(order)))) for order in orders]
        mean: Tensor = 0.5 * (logits[0] + logits[1])
        return mean.squeeze(1)

    def pairwise(self, x: Tensor, y: Tensor) -> Tensor:
        """See ``Head``; in blocks of rows of ``x``, so that memory is bounded.

        The first layer is a part of x, a part of y and one matrix product: (x - y)^2 = x^2 + y^2 - 2 x y.
        """
        rows = max(1, BLOCK_ELEMENTS // max(1, self.hidden.out_features * len(y)))
        centred_x, centred_y = _centred(x, y)
        y_parts = self._own_part(y, centred_y)
        scores = [
            self._block(x_rows, centred, y, centred_y, y_parts)
            for x_rows, centred in zip(torch.split(x, rows), torch.split(centred_x, rows), strict=True)
        ]
        return torch.cat(scores)

    def similarity(self, logits: Tensor) -> Tensor:
        """Tenths of a logit, which is what a unit of distance is worth to ``DistanceHead`` at first."""
        return logits / START_SCALE

    def _own_part(self, x: Tensor, centred: Tensor) -> tuple[Tensor, Tensor]:
        """What one side alone adds to the first layer, (hidden, N): under the squares, and under the difference."""
        _, weight_squares, weight_difference = self._weights()
        return weight_squares @ x.square().T, weight_difference @ centred.square().T

    def _block(
        self, x: Tensor, centred_x: Tensor, y: Tensor, centred_y: Tensor, y_parts: tuple[Tensor, Tensor]
    ) -> Tensor:
        """``pairwise`` of a few rows; arrays are (rows, hidden, M)."""
        weight_lambda, _, weight_difference = self._weights()
        x_squares, x_difference = (part.T[:, :, None] for part in self._own_part(x, centred_x))
        cross = (centred_x[:, None] * (-2 * weight_difference)).flatten(0, 1) @ centred_y.T
        common = cross.view(len(x), -1, len(y)) + (y_parts[1] + self.hidden.bias[:, None]) + x_difference
        common = common + self._lambda(pairwise_distance(self.distance, x, y))[:, None] * weight_lambda
        order = x_squares - y_parts[0]
        hidden = [self.dropout(F.relu(common + sign * order)) for sign in (1, -1)]
        logits: Tensor = 0.5 * (self.out.weight @ (hidden[0] + hidden[1]))
        return logits.squeeze(1) + self.out.bias

    def _weights(self) -> tuple[Tensor, ...]:
        """The first layer's columns for lambda (hidden, 1), the squares and the difference (hidden, D)."""
        return torch.split(self.hidden.weight, [1, self.dim, self.dim], dim=1)

    def _lambda(self, distance: Tensor) -> Tensor:
        if self.distance == "cosine":
            return 1 - distance
        return distance / (self.dim if self.distance == "l1" else math.sqrt(self.dim))


HEADS: dict[str, type[Head]] = {"distance": DistanceHead, "weighted": WeightedHead, "fusion": FusionHead}
"""The heads by name."""


def build_head(kind: str, distance: str, dim: int) -> Head:
    """A head by name.

    Args:
        kind: ``distance``, ``weighted`` or ``fusion``.
        distance: ``l1``, ``l2`` or ``cosine``.
        dim: Width of the embeddings.

    Raises:
        ModelError: Unknown kind or distance.
    """
    if kind not in HEADS:
        raise ModelError(f"head = {kind!r} is unknown", f"choose one of {', '.join(HEADS)}")
    return HEADS[kind](distance, dim)


def _centred(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both minus the mean of ``y``: differences stay, and their expanded squares lose fewer digits."""
    mean = y.detach().mean(0)
    return x - mean, y - mean
