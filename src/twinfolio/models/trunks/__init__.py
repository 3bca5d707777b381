"""Trunks: any timm model with a feature map, the papers' nets included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from torch import Tensor, nn

from twinfolio.errors import ModelError
from twinfolio.models.trunks import khayyat as khayyat  # registers its nets with timm
from twinfolio.models.trunks import koch as koch
from twinfolio.models.trunks import lu as lu
from twinfolio.models.trunks import residual as residual
from twinfolio.models.trunks import sircnn as sircnn
from twinfolio.models.trunks.weights import load_imagenet, load_weights_file


@dataclass(frozen=True)
class TrunkInfo:
    """What there is to know about a trunk.

    Attributes:
        name: timm's name.
        features: Channels of the feature map.
        mean: Mean the trunk's images are normalised with, one value a channel.
        std: Standard deviation likewise.
        pretrained: Whether the weights are ImageNet's or a file's, not random ones.
        input_size: Height and width in pixels the trunk was made for.
        options: Arguments it was built with beyond timm's own (``depth``, ``kernels``).
    """

    name: str
    features: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pretrained: bool
    input_size: tuple[int, int]
    options: Mapping[str, Any] = field(default_factory=dict)


def create_trunk(
    name: str, weights: str, in_chans: int = 3, options: Mapping[str, Any] | None = None
) -> tuple[nn.Module, TrunkInfo]:
    """Build a timm model without its classifier and load its weights.

    Args:
        name: Any timm model whose ``forward_features`` gives a map (N, C', h, w).
        weights: ``imagenet``, ``none`` (random, from torch's generator) or the path of a weights file.
        in_chans: Channels of the images; the first layer of three-channel weights is adapted to 1.
        options: Further arguments of ``timm.create_model``.

    Returns:
        The trunk, of which only what ``forward_features`` uses is left, and its facts.

    Raises:
        ModelError: Unknown name or option, no feature map, or weights that cannot be had or do not fit.
    """
    trunk = _create(name, in_chans, options or {})
    info = _describe_and_trim(name, trunk, in_chans, options or {}, pretrained=weights != "none")
    if weights == "imagenet":
        load_imagenet(trunk, name, in_chans)
    elif weights != "none":
        load_weights_file(trunk, weights, in_chans)
    return trunk, info


def features_shape(trunk: nn.Module, size: tuple[int, int], in_chans: int) -> tuple[int, int, int]:
    """Shape (C', h, w) of the feature map of one image of ``size`` (height, width)."""
    was_training = trunk.training
    trunk.eval()
    with torch.no_grad():
        features: Tensor = trunk.forward_features(torch.zeros(1, in_chans, *size))  # type: ignore[operator]
    trunk.train(was_training)
    if features.ndim != 4:
        raise ModelError(
            f"trunk: features of shape {tuple(features.shape)} are not a map (N, C, h, w)",
            "choose a convolutional timm model",
        )
    return features.shape[1], features.shape[2], features.shape[3]


def _create(name: str, in_chans: int, options: Mapping[str, Any]) -> nn.Module:
    if not timm.is_model(name.partition(".")[0]):
        near = timm.list_models(f"*{name[:6]}*")[:5]
        raise ModelError(
            f"trunk: {name!r} is not a timm model",
            f"choose one of timm.list_models(), such as {', '.join(near) or 'vgg19'}",
        )
    try:
        model: nn.Module = timm.create_model(
            name, pretrained=False, num_classes=0, global_pool="", in_chans=in_chans, **options
        )
    except TypeError as error:  # what Python says of an argument the model does not take
        if not options:
            raise
        raise ModelError(
            f"trunk_options {dict(options)}: {name} does not take them ({error})", "take the unknown one out"
        ) from None
    return model


def _describe_and_trim(
    name: str, trunk: nn.Module, in_chans: int, options: Mapping[str, Any], pretrained: bool
) -> TrunkInfo:
    """The trunk's facts; parts that ``forward_features`` never calls (VGG's 119 M dense layers) become nothing.

    They would count as parameters, be saved, and stop DDP, which wants a gradient for every parameter.
    """
    config: dict[str, Any] = trunk.pretrained_cfg  # type: ignore[assignment]
    mean, std = (_per_channel(config[key], in_chans) for key in ("mean", "std"))
    size = (int(config["input_size"][1]), int(config["input_size"][2]))
    used: set[nn.Module] = set()
    hooks = [part.register_forward_hook(lambda part, *_: used.add(part)) for part in trunk.modules()]
    channels, _, _ = features_shape(trunk, size, in_chans)
    for hook in hooks:
        hook.remove()
    for child_name, child in list(trunk.named_children()):
        if used.isdisjoint(child.modules()) and any(True for _ in child.parameters()):
            setattr(trunk, child_name, nn.Identity())
    return TrunkInfo(name, channels, mean, std, pretrained, size, dict(options))


def _per_channel(values: tuple[float, ...], in_chans: int) -> tuple[float, ...]:
    if len(values) == in_chans:
        return tuple(float(value) for value in values)
    return (float(sum(values) / len(values)),) * in_chans
