"""The trunk of Koch, Zemel & Salakhutdinov 2015, "Siamese Neural Networks for One-shot Image Recognition", Figure 4."""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from twinfolio.models.trunks.plain import PlainTrunk, untrained

default_cfgs = generate_default_cfgs({"koch_conv.untrained": untrained((1, 105, 105), 0.5, 0.5)})


class KochConv(PlainTrunk):
    """Convolutions of 64 kernels of 10 x 10, 128 of 7 x 7, 128 of 4 x 4 and 256 of 4 x 4, unpadded; three max poolings.

    105 x 105 becomes 6 x 6. With ``pooling: flatten``, ``embedding: 4096``, ``activation: sigmoid`` and the weighted L1
    head this is the paper's twin of 38,951,745 parameters. Initial weights as in its section 3.3: kernels N(0, .01),
    biases N(.5, .01).

    Args:
        in_chans: Channels of the images.
        num_classes: Accepted for timm; the net has no classifier.
        global_pool: Accepted for timm.
    """

    def __init__(self, in_chans: int = 1, num_classes: int = 0, global_pool: str = "") -> None:
        layers = nn.Sequential(
            *(nn.Conv2d(in_chans, 64, 10), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 7), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(128, 128, 4), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(128, 256, 4), nn.ReLU()),
        )
        for name, parameter in layers.named_parameters():
            nn.init.normal_(parameter, mean=0.5 if name.endswith("bias") else 0.0, std=0.01)
        super().__init__(layers, 256, num_classes)


@register_model  # type: ignore[untyped-decorator]
def koch_conv(pretrained: bool = False, **kwargs: Any) -> KochConv:
    """Timm's entry point."""
    model: KochConv = build_model_with_cfg(KochConv, "koch_conv", pretrained, **kwargs)
    return model
