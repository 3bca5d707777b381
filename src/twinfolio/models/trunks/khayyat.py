"""The small net Khayyat et al. train from scratch: the convolutional part of their Table 1."""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from twinfolio.models.trunks.plain import PlainTrunk, untrained

# (filters of the 3x3 layer, filters of the 1x1 layer) of each block, which a 2x2 max pooling ends
BLOCKS = ((64, 64), (128, 64), (256, 64), (256, 64))

default_cfgs = generate_default_cfgs({"khayyat_scratch.untrained": untrained((3, 150, 100), 0.5, 0.5)})


class KhayyatScratch(PlainTrunk):
    """Khayyat et al., Table 1, conv1 to pool4: stride 1, no padding, ReLU; (3, 150, 100) becomes (64, 7, 4).

    150 x 100 is the only input that yields every shape the table lists (the 224 x 224 in its first rows does not).

    Args:
        in_chans: Channels of the images.
        num_classes: Accepted for timm; the net has no classifier.
        global_pool: Accepted for timm.
    """

    def __init__(self, in_chans: int = 3, num_classes: int = 0, global_pool: str = "") -> None:
        layers: list[nn.Module] = []
        channels = in_chans
        for wide, narrow in BLOCKS:
            layers += [nn.Conv2d(channels, wide, 3), nn.ReLU(), nn.Conv2d(wide, narrow, 1), nn.ReLU(), nn.MaxPool2d(2)]
            channels = narrow
        super().__init__(nn.Sequential(*layers), BLOCKS[-1][1], num_classes)


@register_model  # type: ignore[untyped-decorator]
def khayyat_scratch(pretrained: bool = False, **kwargs: Any) -> KhayyatScratch:
    """Timm's entry point for ``KhayyatScratch``."""
    model: KhayyatScratch = build_model_with_cfg(KhayyatScratch, "khayyat_scratch", pretrained, **kwargs)
    return model
