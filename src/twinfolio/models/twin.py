"""Twins: two inputs to a similarity between 0 and 1, by an embedding of each."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from twinfolio.models.embedder import Embedder
from twinfolio.models.heads import Head


class Twin(nn.Module, ABC):
    """Learns judgments of pairs.

    Attributes:
        pretrained: Whether its trunk started from ImageNet weights.
    """

    pretrained = False

    @property
    @abstractmethod
    def trunk(self) -> nn.Module:
        """The part that learns at the trunk's own rate."""

    @abstractmethod
    def embed(self, inputs: Tensor) -> Tensor:
        """Inputs (N, ...) to embeddings (N, D)."""

    @abstractmethod
    def paired(self, a: Tensor, b: Tensor) -> Tensor:
        """Similarity (N,), 0 to 1, of embeddings (N, D) with others, row by row."""

    @abstractmethod
    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """Similarity (N, M) of embeddings (N, D) with all others (M, D)."""

    def penalty(self) -> Tensor:
        """What the size of the weights adds to the loss."""
        return torch.zeros((), device=next(self.parameters()).device)


class ConvTwin(Twin):
    """The convolutional twin that Jimenez & Szabo conclude should come next: an embedder of images and a head.

    Args:
        embedder: Images to embeddings.
        head: Pairs of embeddings to logits, whose sigmoid is the similarity.
    """

    def __init__(self, embedder: Embedder, head: Head) -> None:
        super().__init__()
        self.embedder, self.head = embedder, head
        self.pretrained = embedder.info.pretrained

    @property
    def trunk(self) -> nn.Module:
        """The embedder's."""
        trunk: nn.Module = self.embedder.trunk
        return trunk

    def embed(self, inputs: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to embeddings (N, D)."""
        embeddings: Tensor = self.embedder(inputs)
        return embeddings

    def paired(self, a: Tensor, b: Tensor) -> Tensor:
        """See ``Twin``."""
        return torch.sigmoid(self.head.paired(a, b))

    def pairwise(self, a: Tensor, b: Tensor) -> Tensor:
        """See ``Twin``."""
        return torch.sigmoid(self.head.pairwise(a, b))
