"""What the papers' nets have in common: layers that follow each other, and no weights to download."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class PlainTrunk(nn.Module):
    """A trunk of layers that follow each other, as timm and ``create_trunk`` want it.

    Args:
        features: The layers.
        channels: Channels of the last one.
        num_classes: timm's; there is no classifier.
    """

    def __init__(self, features: nn.Sequential, channels: int, num_classes: int = 0) -> None:
        super().__init__()
        self.features, self.num_features, self.num_classes = features, channels, num_classes

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to the map (N, channels, h, w)."""
        features: Tensor = self.features(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """The same as ``forward_features``."""
        return self.forward_features(x)


def untrained(size: tuple[int, int, int], mean: float, std: float) -> dict[str, Any]:
    """Timm's facts of a net without weights to download.

    Args:
        size: (C, H, W) of the images it was made for.
        mean: What is taken off each pixel in [0, 1].
        std: What it is then divided by.
    """
    return {
        "url": "",
        "input_size": size,
        "num_classes": 0,
        "mean": (mean,) * size[0],
        "std": (std,) * size[0],
        "first_conv": None,
        "classifier": "",
    }
