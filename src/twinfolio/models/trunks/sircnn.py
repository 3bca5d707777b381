"""SiRCNN, the light ResNeXt-like trunk of Ma et al., in two readings that match its printed parameter counts.

The paper's tables do not settle the architecture: many nets have the 1,562,496 + 7,296 parameters it prints (systems.md
5.2), and these are readings of it, not its authors' code. Reading ``b`` meets all printed counts and has an attention
unit; ``d`` has the textbook one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from twinfolio.models.trunks.plain import PlainTrunk, untrained

STAGES = ((64, 64, 128), (128, 128, 256), (256, 256, 512))
"""Channels (f1, f2, f3) of the three stages."""

default_cfgs = generate_default_cfgs({"sircnn.untrained": untrained((1, 105, 105), 0.5, 0.5)})


def eca_kernel(channels: int) -> int:
    """Kernel of ECA for C channels: int(|log2 C + 1| / 2), plus 1 where even (Wang et al. 2020, Eq. 12)."""
    size = int(abs((math.log2(channels) + 1) / 2))
    return size if size % 2 else size + 1


class ECA(nn.Module):
    """Efficient channel attention (Wang et al. 2020): every channel times a sigmoid of its neighbours' means.

    Args:
        channels: C.
        shared: One kernel of ``eca_kernel(C)`` weights for all channels (ECA-Net), or a kernel of 3 for each channel
            (its "non-shared" form, ECA-NS).
    """

    def __init__(self, channels: int, shared: bool = True) -> None:
        super().__init__()
        self.kernel = eca_kernel(channels) if shared else 3
        bound = 1 / math.sqrt(self.kernel)
        self.weight = nn.Parameter(torch.empty(1 if shared else channels, self.kernel).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, h, w) to maps of the same shape."""
        means = F.pad(x.mean((2, 3)), (self.kernel // 2, self.kernel // 2))
        gates = torch.sigmoid((means.unfold(1, self.kernel, 1) * self.weight).sum(2))
        return x * gates[:, :, None, None]


class Stage(nn.Module):
    """A bottleneck of 1x1, 3x3 (stride 2) and 1x1, one more 1x1, attention, and a projected shortcut.

    Args:
        before: Channels that come in.
        widths: (f1, f2, f3); f3 go out.
        shared: See ``ECA``.
    """

    def __init__(self, before: int, widths: tuple[int, int, int], shared: bool) -> None:
        super().__init__()
        first, second, last = widths
        self.body = nn.Sequential(
            *(nn.Conv2d(before, first, 1), nn.BatchNorm2d(first), nn.ReLU()),
            *(nn.Conv2d(first, second, 3, stride=2, padding=1), nn.BatchNorm2d(second), nn.ReLU()),
            *(nn.Conv2d(second, last, 1), nn.BatchNorm2d(last), nn.ReLU()),
            *(nn.Conv2d(last, last, 1), nn.BatchNorm2d(last)),
        )
        self.attention = ECA(last, shared)
        self.shortcut = nn.Sequential(nn.Conv2d(before, last, 1, stride=2), nn.BatchNorm2d(last))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, before, h, w) to (N, f3, h / 2, w / 2)."""
        return F.relu(self.attention(self.body(x)) + self.shortcut(x))


class SiRCNN(PlainTrunk):
    """Stem and three stages: 105 x 105 becomes 53, 27, 14, 7 (Ma et al., Table 1).

    Args:
        reading: ``b`` (1,562,496 parameters learn) or ``d`` (textbook attention).
        in_chans: Channels of the images.
        num_classes: Accepted for timm; the net has no classifier.
        global_pool: Accepted for timm.
    """

    def __init__(self, reading: str = "b", in_chans: int = 1, num_classes: int = 0, global_pool: str = "") -> None:
        if reading not in ("b", "d"):
            raise TypeError(f"reading = {reading!r}: must be b or d")
        stem = nn.Sequential(nn.Conv2d(in_chans, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        before = (64, *(widths[-1] for widths in STAGES))
        stages = [Stage(width, widths, shared=reading == "d") for width, widths in zip(before, STAGES, strict=False)]
        super().__init__(nn.Sequential(stem, *stages), STAGES[-1][-1], num_classes)


@register_model  # type: ignore[untyped-decorator]
def sircnn(pretrained: bool = False, **kwargs: Any) -> SiRCNN:
    """Timm's entry point."""
    model: SiRCNN = build_model_with_cfg(SiRCNN, "sircnn", pretrained, **kwargs)
    return model
