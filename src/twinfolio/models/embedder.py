"""Embedder: images to vectors, by trunk, pooling and projection; and the builders of whole models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinfolio.errors import ModelError
from twinfolio.models.distances import unit_vectors
from twinfolio.models.heads import Head, build_head
from twinfolio.models.trunks import TrunkInfo, create_trunk, features_shape

POOLINGS = ("avg", "max", "avgmax", "flatten")
"""How a feature map becomes a vector."""
UNIT_GAIN = 16.0
"""Gain of a class layer on the unit sphere, where a plain linear layer's logits start, and long stay, too flat."""


class Embedder(nn.Module):
    """Trunk, pooling and, if asked for, hidden layers, projection, activation and normalisation.

    Args:
        trunk: With ``forward_features``; see ``create_trunk``.
        info: The trunk's facts; its mean and std normalise the images here.
        pooling: ``avg``, ``max``, ``avgmax`` (max first, as in Khayyat et al., Table 2) or ``flatten``.
        embedding: Width of the projection; None for the pooled features themselves.
        hidden: Widths of the ReLU layers before the projection.
        normalise: Put embeddings on the unit sphere.
        size: Height and width the images are resized to; None leaves them (``flatten`` needs it).
        activation: ``sigmoid`` or None, after the projection.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        info: TrunkInfo,
        *,
        pooling: str = "avg",
        embedding: int | None = None,
        hidden: Sequence[int] = (),
        normalise: bool = False,
        size: tuple[int, int] | None = None,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        # convolutions of channels-last arrays are 1.5 to 2 times as fast
        self.trunk, self.info = trunk.to(memory_format=torch.channels_last), info  # type: ignore[call-overload]
        self.pooling, self.embedding, self.normalise = pooling, embedding, normalise
        self.size, self.activation, self.hidden = size, activation, tuple(hidden)
        pooled = _pooled_width(trunk, info, pooling, size)
        widths = (pooled, *self.hidden)
        self.layers = nn.Sequential(*(Dense(*ends) for ends in pairwise(widths)))
        self.projection = nn.Linear(widths[-1], embedding) if embedding is not None else nn.Identity()
        self.dim = embedding if embedding is not None else widths[-1]
        for name, values in (("mean", info.mean), ("std", info.std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W), float in [0, 1], to embeddings (N, D), float32 under any autocast."""
        return self.embed_features(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W), float in [0, 1], to the trunk's maps (N, C', h, w)."""
        if self.size is not None and tuple(images.shape[-2:]) != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", align_corners=False)
        images = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.trunk.forward_features(images)
        return features

    def embed_features(self, features: Tensor) -> Tensor:
        """The trunk's maps (N, C', h, w) to embeddings (N, D), float32."""
        embeddings = self.projection(self.layers(pool(features, self.pooling))).float()
        if self.activation == "sigmoid":
            embeddings = torch.sigmoid(embeddings)
        return unit_vectors(embeddings) if self.normalise else embeddings

    @property
    def has_places(self) -> bool:
        """Whether an embedding, before it is normalised, is a mean over places."""
        return self.pooling == "avg" and self.activation is None and not self.hidden

    def places(self, features: Tensor) -> Tensor:
        """What each place adds: maps (N, C', h, w) to (N, D, h, w), P f_ij + b; its mean over places is P mean(f) + b.

        Raises:
            ModelError: The embedder is not average-pooled and linear.
        """
        if not self.has_places:
            raise ModelError(f"pooling = {self.pooling} does not split into places", "use siamese.pooling: avg")
        if not isinstance(self.projection, nn.Linear):
            return features.float()
        # a product from the left reads the weight as it lies: an exported program then holds it once
        projected = self.projection.weight @ features.flatten(2) + self.projection.bias[:, None]
        return projected.reshape(*projected.shape[:2], *features.shape[2:]).float()


class Dense(nn.Sequential):
    """Linear layer and ReLU, with He's initial weights.

    Args:
        before: Width of the input.
        after: Width of the output.
    """

    def __init__(self, before: int, after: int) -> None:
        linear = nn.Linear(before, after)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        super().__init__(linear, nn.ReLU())


class ClassLayer(nn.Linear):
    """Linear class layer on embeddings; logits carry a fixed gain where the embeddings have length 1.

    Args:
        dim: Width of the embeddings.
        classes: Number of classes.
        gain: Factor on the embeddings.
    """

    def __init__(self, dim: int, classes: int, gain: float = 1.0) -> None:
        super().__init__(dim, classes)
        self.gain = gain

    def forward(self, embeddings: Tensor) -> Tensor:
        """Embeddings (N, D) to class logits (N, classes)."""
        return super().forward(embeddings * self.gain)


def pool(features: Tensor, pooling: str) -> Tensor:
    """Feature maps (N, C, h, w) to vectors: (N, C), (N, 2 C) for ``avgmax``, (N, C h w) for ``flatten``."""
    if pooling == "flatten":
        return features.flatten(1)
    # mean and amax, not the adaptive pooling layers: those have no deterministic gradient on CUDA
    parts = {"avg": ["avg"], "max": ["max"], "avgmax": ["max", "avg"]}[pooling]
    return torch.cat([features.amax((2, 3)) if part == "max" else features.mean((2, 3)) for part in parts], dim=1)


def build_class_layer(embedder: Embedder, classes: int) -> ClassLayer:
    """A class layer for an embedder's embeddings."""
    return ClassLayer(embedder.dim, classes, UNIT_GAIN if embedder.normalise else 1.0)


def build_classifier(
    trunk: str,
    *,
    weights: str,
    classes: int,
    options: Mapping[str, Any] | None = None,
    pooling: str = "avg",
    normalise: bool = False,
    channels: int = 3,
    size: tuple[int, int] | None = None,
) -> tuple[Embedder, ClassLayer]:
    """A classifier: a trunk with pooling, and a class layer.

    Args:
        trunk: timm's name.
        weights: ``imagenet``, ``none`` or a file.
        classes: Number of classes.
        options: See ``create_trunk``.
        pooling: See ``Embedder``.
        normalise: See ``Embedder``; the class layer then classifies by direction alone.
        channels: Channels of the images.
        size: See ``Embedder``.
    """
    trunk_and_info = create_trunk(trunk, weights, channels, options)
    embedder = Embedder(*trunk_and_info, pooling=pooling, normalise=normalise, size=size)
    return embedder, build_class_layer(embedder, classes)


def build_siamese(
    trunk: str,
    *,
    weights: str,
    head: str,
    distance: str,
    options: Mapping[str, Any] | None = None,
    pooling: str = "avg",
    embedding: int | None = 256,
    hidden: Sequence[int] = (),
    activation: str | None = None,
    normalise: bool = True,
    channels: int = 3,
    size: tuple[int, int] | None = None,
) -> tuple[Embedder, Head]:
    """A Siamese model: one embedder for both images, and a head.

    Args:
        trunk: timm's name.
        weights: ``imagenet``, ``none`` or a file.
        head: ``distance``, ``weighted`` or ``fusion``.
        distance: ``l1``, ``l2`` or ``cosine``.
        options: See ``create_trunk``.
        pooling: See ``Embedder``.
        embedding: See ``Embedder``.
        hidden: See ``Embedder``.
        activation: See ``Embedder``.
        normalise: See ``Embedder``.
        channels: Channels of the images.
        size: See ``Embedder``.
    """
    embedder = Embedder(
        *create_trunk(trunk, weights, channels, options),
        pooling=pooling,
        embedding=embedding,
        hidden=hidden,
        normalise=normalise,
        size=size,
        activation=activation,
    )
    return embedder, build_head(head, distance, embedder.dim)


def start_from(embedder: Embedder, other: Embedder) -> None:
    """Copy another embedder's trunk weights (the classifier's) and take over whether they were pretrained.

    Raises:
        ModelError: The trunks differ.
    """
    own, its = embedder.info, other.info
    if (own.name, own.options, len(own.mean)) != (its.name, its.options, len(its.mean)):
        raise ModelError(
            f"siamese.trunk = {own.name} is not the classifier's {its.name}, or has other options",
            "set both to one trunk, or siamese.start to weights",
        )
    embedder.trunk.load_state_dict(other.trunk.state_dict())
    embedder.info = other.info


def _pooled_width(trunk: nn.Module, info: TrunkInfo, pooling: str, size: tuple[int, int] | None) -> int:
    if pooling not in POOLINGS:
        raise ModelError(f"pooling = {pooling!r} is unknown", f"choose one of {', '.join(POOLINGS)}")
    if pooling != "flatten":
        return info.features * (2 if pooling == "avgmax" else 1)
    if size is None:
        raise ModelError("pooling = flatten needs a fixed image size", "set size, or pool by avg, max or avgmax")
    channels, height, width = features_shape(trunk, size, len(info.mean))
    return channels * height * width
