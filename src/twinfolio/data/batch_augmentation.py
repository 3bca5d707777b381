"""Augmentation of a whole batch on the device, new at every training step; no decoding, no loop over samples.

Crop first, on uint8; then everything colour does to a pixel (brightness, contrast, saturation, gains, grey) is one
affine map, so that it costs one matrix product.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def to_float(images: Tensor) -> Tensor:
    """uint8 images to float32 in [0, 1]; float images as they are. All that validation and test do."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def augment_batch(
    images: Tensor,
    *,
    crop: int | None,
    scale: tuple[float, float] = (1.0, 1.0),
    colour_jitter: float = 0.0,
    grey: float = 0.0,
    generator: torch.Generator,
) -> Tensor:
    """Randomly crop, zoom and recolour each image of a batch.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1], any memory layout; C is 3 or 1.
        crop: Side of the random crop in pixels; None keeps the whole image.
        scale: Range of the zoom drawn for each image before the crop; (1, 1) is none. A zoom out is limited to what
            the image holds.
        colour_jitter: Strength s: brightness, contrast and saturation are scaled by factors in [1 - s, 1 + s], each
            channel by one in [1 - s/2, 1 + s/2].
        grey: Share of images made grey.
        generator: A CPU generator: everything is drawn there, so that CPU and GPU see the same draws.

    Returns:
        (N, C, crop, crop) (or H x W without a crop), float32 in [0, 1].
    """
    draws = torch.rand(len(images), 10, generator=generator)
    if scale != (1.0, 1.0):
        images = zoom_crop(to_float(images), crop, scale, draws[:, :3])
    elif crop is not None:
        images = crop_batch(images, crop, draws[:, :2])
    if colour_jitter == 0 and grey == 0:
        return to_float(images)
    return recolour(images, draws[:, 3:], colour_jitter, grey)


def crop_batch(images: Tensor, crop: int, draws: Tensor) -> Tensor:
    """A crop of each image at its own place.

    Args:
        images: (N, C, H, W), H and W at least ``crop``.
        crop: Side in pixels.
        draws: (N, 2) on the CPU, uniform in [0, 1): where the crop lies, down and across.

    Returns:
        (N, C, crop, crop) of the same dtype.
    """
    room = torch.tensor([images.shape[2] - crop + 1, images.shape[3] - crop + 1])
    tops, lefts = (draws * room).long().to(images.device, non_blocking=True).unbind(1)
    windows = images.unfold(2, crop, 1).unfold(3, crop, 1)  # a view: (N, C, tops, lefts, crop, crop)
    return windows[torch.arange(len(images), device=images.device), :, tops, lefts]


def zoom_crop(images: Tensor, crop: int | None, scale: tuple[float, float], draws: Tensor) -> Tensor:
    """Zoom each image by its own factor and crop it at its own place, in one bilinear sampling.

    Args:
        images: (N, C, H, W) float.
        crop: Side of the result in pixels; None: H x W.
        scale: Range of the zoom factor.
        draws: (N, 3) on the CPU, uniform in [0, 1): place down and across, and zoom.

    Returns:
        (N, C, crop, crop) float.
    """
    size = torch.tensor(images.shape[2:], dtype=torch.float32)
    out = size if crop is None else torch.tensor([crop, crop], dtype=torch.float32)
    zoom = scale[0] + (scale[1] - scale[0]) * draws[:, 2:]
    window = torch.minimum(out / zoom, size) / size  # (N, 2): share of the image seen, down and across
    centre = (2 * draws[:, :2] - 1) * (1 - window)  # in grid_sample's coordinates, -1 to 1
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = window[:, 1], window[:, 0]
    theta[:, 0, 2], theta[:, 1, 2] = centre[:, 1], centre[:, 0]
    shape = [len(images), images.shape[1], int(out[0]), int(out[1])]
    grid = F.affine_grid(theta.to(images.device), shape, align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def recolour(images: Tensor, draws: Tensor, strength: float, grey: float) -> Tensor:
    """Brightness, contrast about the image's mean grey, saturation, channel gains and grey, as one affine map.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1].
        draws: (N, 7) on the CPU, uniform in [0, 1): brightness, contrast, saturation, grey, three gains.
        strength: See ``augment_batch``.
        grey: See ``augment_batch``.

    Returns:
        (N, C, H, W) float32 in [0, 1].
    """
    n, channels = images.shape[:2]
    flat = images.flatten(2).float()
    unit = 255.0 if images.dtype == torch.uint8 else 1.0
    luma = torch.tensor(LUMA if channels == 3 else (1.0,), device=images.device)
    matrix, contrast = (
        part.to(images.device, non_blocking=True) for part in _colour_maps(draws, strength, grey, channels)
    )
    mean = (matrix @ flat.mean(2, keepdim=True) * luma.view(1, -1, 1)).sum(1, keepdim=True) / unit
    offset = ((1 - contrast) * mean).expand(n, channels, 1)
    return torch.baddbmm(offset, matrix * contrast / unit, flat).clamp_(0, 1).view(images.shape)


def _colour_maps(draws: Tensor, strength: float, grey: float, channels: int) -> tuple[Tensor, Tensor]:
    """The (N, C, C) matrices of gains, then brightness, then saturation or grey; and the (N, 1, 1) contrast."""
    factors = 1 + strength * (2 * draws - 1)
    brightness, contrast = factors[:, 0].view(-1, 1, 1), factors[:, 1].view(-1, 1, 1)
    if channels == 1:
        return brightness, contrast
    saturation = torch.where(draws[:, 3] < grey, 0.0, factors[:, 2]).view(-1, 1, 1)
    mix = saturation * torch.eye(3) + (1 - saturation) * torch.tensor(LUMA).expand(3, 3)
    gains = 1 + strength * (draws[:, 4:7] - 0.5)
    return brightness * mix * gains.view(-1, 1, 3), contrast
