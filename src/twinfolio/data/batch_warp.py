"""Geometric augmentation of a whole batch on the device: rotation, shear, shift, zoom and bends in one sampling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_KNOTS = 4
"""Side of the grid of random displacements that a bend interpolates."""


@dataclass(frozen=True)
class Warp:
    """How far each image may be moved.

    Args:
        rotation: Most degrees, either way.
        shear: Most radians of slant, either way, along each axis.
        shift: Most of the image's side, either way, along each axis.
        scale: Range of the zoom, along each axis on its own; above 1 enlarges.
        bend: Standard deviation, in sides, of the displacements of a 4 x 4 grid of knots.
        share: Probability of each of the five, drawn for each image on its own.
    """

    rotation: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    bend: float = 0.0
    share: float = 1.0

    @property
    def moves(self) -> bool:
        """Whether anything is done at all."""
        still = (self.rotation, self.shear, self.shift, self.bend) == (0, 0, 0, 0) and tuple(self.scale) == (1, 1)
        return self.share > 0 and not still


def warp_batch(images: Tensor, warp: Warp, generator: torch.Generator) -> Tensor:
    """Move each image by its own draw; what comes in from outside repeats the border.

    Args:
        images: (N, C, H, W) float.
        warp: How far.
        generator: A CPU generator: everything is drawn there, so that CPU and GPU see the same draws.

    Returns:
        (N, C, H, W).
    """
    theta = affine_maps(len(images), warp, generator)
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    if warp.bend > 0:
        grid = grid + bends(len(images), (images.shape[2], images.shape[3]), warp, generator).to(images.device)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def affine_maps(n: int, warp: Warp, generator: torch.Generator) -> Tensor:
    """Maps (n, 2, 3) from places in the result to places in the image, in ``affine_grid``'s coordinates, -1 to 1."""
    draws = 2 * torch.rand(n, 7, generator=generator) - 1
    used = (torch.rand(n, 4, generator=generator) < warp.share).float()
    angle = torch.deg2rad(warp.rotation * draws[:, 0] * used[:, 0])
    slants = torch.tan(warp.shear * draws[:, 1:3] * used[:, 1:2])
    shifts = 2 * warp.shift * draws[:, 3:5] * used[:, 2:3]
    low, high = warp.scale
    zooms = 1 + used[:, 3:4] * ((low + high) / 2 + (high - low) / 2 * draws[:, 5:7] - 1)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    slant = torch.eye(2).repeat(n, 1, 1)
    slant[:, 0, 1], slant[:, 1, 0] = slants[:, 0], slants[:, 1]
    return torch.cat([turn @ slant @ torch.diag_embed(1 / zooms), shifts[:, :, None]], dim=2)


def bends(n: int, size: tuple[int, int], warp: Warp, generator: torch.Generator) -> Tensor:
    """Smooth displacements (n, H, W, 2) in ``grid_sample``'s coordinates."""
    knots = 2 * warp.bend * torch.randn(n, 2, _KNOTS, _KNOTS, generator=generator)
    used = (torch.rand(n, generator=generator) < warp.share).float().view(-1, 1, 1, 1)
    return F.interpolate(knots * used, size, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
