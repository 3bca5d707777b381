"""The nets of Lu's study of small digits: a grid of convolution depth and kernel count, and bare pixels for its MLP."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from twinfolio.models.trunks.plain import PlainTrunk, untrained

_IN_0_1 = untrained((1, 28, 28), 0.0, 1.0)
default_cfgs = generate_default_cfgs({"lu_conv.untrained": _IN_0_1, "lu_pixels.untrained": _IN_0_1})


class LuConv(PlainTrunk):
    """Blocks of 3x3 convolution (padding 1), batch norm, ReLU and 2x2 max pooling; the same kernel count in each.

    28 x 28 becomes 14, 7, 3. Lu's Table 1 varies depth 1 to 3 and 8, 16 or 32 kernels.

    Args:
        depth: Blocks.
        kernels: Kernels of each convolution.
        growth: Factor on the kernels from block to block; Lu's nets have 1.
        norm: Batch norm after each convolution.
        in_chans: Channels of the images.
        num_classes: Accepted for timm; the net has no classifier.
        global_pool: Accepted for timm.
    """

    def __init__(
        self,
        depth: int = 3,
        kernels: int = 16,
        growth: int = 1,
        norm: bool = True,
        in_chans: int = 1,
        num_classes: int = 0,
        global_pool: str = "",
    ) -> None:
        layers: list[nn.Module] = []
        widths = [kernels * growth**block for block in range(depth)]
        for before, width in pairwise([in_chans, *widths]):
            layers.append(nn.Conv2d(before, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width)] if norm else []
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(nn.Sequential(*layers), widths[-1], num_classes)


class LuPixels(PlainTrunk):
    """The image itself as its feature map: what Lu's fully connected twin (1024, 1024, 2) starts from.

    Args:
        in_chans: Channels of the images.
        num_classes: Accepted for timm; the net has no classifier.
        global_pool: Accepted for timm.
    """

    def __init__(self, in_chans: int = 1, num_classes: int = 0, global_pool: str = "") -> None:
        super().__init__(nn.Sequential(), in_chans, num_classes)


@register_model  # type: ignore[untyped-decorator]
def lu_conv(pretrained: bool = False, **kwargs: Any) -> LuConv:
    """Timm's entry point for ``LuConv``."""
    model: LuConv = build_model_with_cfg(LuConv, "lu_conv", pretrained, **kwargs)
    return model


@register_model  # type: ignore[untyped-decorator]
def lu_pixels(pretrained: bool = False, **kwargs: Any) -> LuPixels:
    """Timm's entry point for ``LuPixels``."""
    model: LuPixels = build_model_with_cfg(LuPixels, "lu_pixels", pretrained, **kwargs)
    return model
