"""Jimenez & Szabo's twin: the bits of an image's first ORB key points through shared dense layers (systems.md 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from twinfolio.descriptors.orb import BITS
from twinfolio.models.twin import Twin

_WIDTHS = (100, 50, 10)
_EPS = 1e-7
"""Least squared distance: the root has no slope at 0."""
PENALTY = 1e-3
"""L2 on the first two kernels, as the authors' saved model has it."""


class OrbSiamese(Twin):
    """Two images' bits to the similarity of their views.

    Three shared layers of sigmoids with dropout before the last, Euclidean distance, one sigmoid unit: 261,662
    parameters for 10 key points and 1,285,662 for 50.

    Args:
        key_points: Key points an image; fewer are filled up with zeros.
        dropout: Share dropped before the last layer.
    """

    def __init__(self, key_points: int = 10, dropout: float = 0.2) -> None:
        super().__init__()
        self.key_points = key_points
        first, second, last = _WIDTHS
        self.tower = nn.Sequential(
            nn.Linear(BITS * key_points, first), nn.Sigmoid(), nn.Linear(first, second), nn.Sigmoid(),
            nn.Dropout(dropout), nn.Linear(second, last), nn.Sigmoid(),
        )  # fmt: skip
        self.unit = nn.Linear(1, 1)
        with torch.no_grad():  # equal images begin as similar, which a unit drawn at random may turn round
            self.unit.weight.fill_(-1.0)
            self.unit.bias.fill_(1.0)

    @property
    def trunk(self) -> nn.Module:
        """All that embeds."""
        return self.tower

    def embed(self, inputs: Tensor) -> Tensor:
        """Bits (N, 256 n), or images of bits (N, 1, n or more, 256), to embeddings (N, 10) between 0 and 1."""
        embeddings: Tensor = self.tower(inputs.flatten(1)[:, : BITS * self.key_points])
        return embeddings

    def paired(self, a: Tensor, b: Tensor) -> Tensor:
        """Similarity (N,), 0 to 1, of embeddings (N, 10) with others, row by row."""
        return self._similarity((a - b).square().sum(-1))

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """Similarity (N, M) of embeddings (N, 10) with all others (M, 10)."""
        return self._similarity((a[:, None] - b[None]).square().sum(-1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Similarity (N,) of images by their bits (N, 256 n)."""
        return self.paired(self.embed(a), self.embed(b))

    def penalty(self) -> Tensor:
        """What the size of the first two kernels adds to the loss."""
        kernels = [layer.weight for layer in self.tower if isinstance(layer, nn.Linear)][:2]
        return PENALTY * torch.stack([kernel.square().sum() for kernel in kernels]).sum()

    def _similarity(self, squared: Tensor) -> Tensor:
        distance = squared.clamp_min(_EPS).sqrt()
        return torch.sigmoid(self.unit(distance[..., None])[..., 0])
