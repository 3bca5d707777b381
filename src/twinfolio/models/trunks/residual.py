"""A small residual net for small images: basic blocks (He et al. 2016, Figure 2) with a max pooling after each."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from twinfolio.models.trunks.plain import PlainTrunk, untrained

default_cfgs = generate_default_cfgs({"small_resnet.untrained": untrained((1, 32, 32), 0.0, 1.0)})


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them, projected where the channels change.

    Args:
        before: Channels that come in.
        width: Channels that go out.
    """

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *(nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)),
        )
        self.shortcut = nn.Sequential()
        if before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, before, h, w) to maps (N, width, h, w)."""
        return F.relu(self.residual(x) + self.shortcut(x))


class SmallResNet(PlainTrunk):
    """One plain convolution, then basic blocks; 2x2 max pooling after each. With a depth of 4, 32 x 32 becomes 2 x 2.

    timm's residual nets halve the image twice before their first block, which leaves little of 32 pixels.

    Args:
        depth: Poolings: the first convolution's and one a block.
        kernels: Kernels of the first convolution.
        growth: Factor on the kernels from block to block.
        in_chans: Channels of the images.
        num_classes: Accepted for timm; the net has no classifier.
        global_pool: Accepted for timm.
    """

    def __init__(
        self,
        depth: int = 4,
        kernels: int = 32,
        growth: int = 2,
        in_chans: int = 1,
        num_classes: int = 0,
        global_pool: str = "",
    ) -> None:
        widths = [kernels * growth**block for block in range(depth)]
        layers: list[nn.Module] = [nn.Conv2d(in_chans, kernels, 3, padding=1, bias=False), nn.BatchNorm2d(kernels)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        for before, width in pairwise(widths):
            layers += [BasicBlock(before, width), nn.MaxPool2d(2)]
        super().__init__(nn.Sequential(*layers), widths[-1], num_classes)


@register_model  # type: ignore[untyped-decorator]
def small_resnet(pretrained: bool = False, **kwargs: Any) -> SmallResNet:
    """Timm's entry point."""
    model: SmallResNet = build_model_with_cfg(SmallResNet, "small_resnet", pretrained, **kwargs)
    return model
