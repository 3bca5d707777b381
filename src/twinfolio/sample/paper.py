"""Paper and what time and the camera did to it."""

from __future__ import annotations

import numpy as np

from twinfolio.sample.noise import Field, smooth_noise
from twinfolio.sample.palettes import PAPERS, RGB


def draw_paper(paper: int, height: int, width: int, rng: np.random.Generator) -> RGB:
    """An empty leaf.

    Args:
        paper: Index into ``PAPERS``.
        height: In pixels.
        width: In pixels.
        rng: Source of fibres, laid lines, stains and spots.

    Returns:
        (height, width, 3) RGB, 0 to 255.
    """
    warmth = np.float32(rng.normal(0, 2.5)) * np.array([0.5, 0.0, -1.2], dtype=np.float32)
    base = PAPERS[paper] + warmth + rng.normal(0, 1.5, 3).astype(np.float32) + np.float32(rng.normal(0, 4))
    cloud = 3.5 * smooth_noise(height, width, 45, rng) + 2.2 * smooth_noise(height, width, 11, rng)
    cloud += float(rng.uniform(1.0, 2.8)) * smooth_noise(height, width, 2, rng) + _laid_lines(height, width, rng)
    leaf: RGB = base[None, None] + cloud[:, :, None] * np.array([0.9, 1.0, 1.15], dtype=np.float32)
    for _ in range(int(rng.poisson(0.7))):
        leaf = leaf * _stain(height, width, rng)
    for _ in range(int(rng.poisson(2.5))):
        leaf = leaf * _spot(height, width, rng)
    return leaf


def _laid_lines(height: int, width: int, rng: np.random.Generator) -> Field:
    """The faint grid of the paper mould."""
    step, angle = float(rng.uniform(2.4, 4.5)), float(rng.normal(0, 0.03))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    strength = np.float32(rng.choice((0.0, 0.8, 1.6)))
    wave: Field = np.sin(2 * np.pi * (y + angle * x) / step).astype(np.float32) * strength
    return wave


def _tint(strength: Field, rng: np.random.Generator) -> RGB:
    """Darken towards brown by ``strength``, 0 to 1: factors for the leaf."""
    brown = np.array([0.82, 0.72, 0.55], dtype=np.float32) + rng.normal(0, 0.03, 3).astype(np.float32)
    return 1 - strength[:, :, None] * (1 - brown)


def _distance(height: int, width: int, radius: float, rng: np.random.Generator) -> Field:
    """Distance from a random centre over ``radius``, its outline uneven."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y - float(rng.uniform(-0.1, 1.1)) * height, x - float(rng.uniform(-0.1, 1.1)) * width
    uneven = 0.18 * smooth_noise(height, width, max(radius * 0.6, 3.0), rng)
    reach: Field = np.hypot(x, y * float(rng.uniform(0.7, 1.4))).astype(np.float32) / np.float32(radius) + uneven
    return reach


def _stain(height: int, width: int, rng: np.random.Generator) -> RGB:
    """A water stain: an even wash with a darker rim."""
    reach = _distance(height, width, float(rng.uniform(18, 110)), rng)
    wash = 1 / (1 + np.exp(np.minimum((reach - 1) * 14, 60)))
    rim = np.exp(-(((reach - 0.97) / 0.05) ** 2))
    return _tint((float(rng.uniform(0.08, 0.5)) * (wash + 0.5 * rim)).astype(np.float32), rng)


def _spot(height: int, width: int, rng: np.random.Generator) -> RGB:
    """Foxing: a small brown spot."""
    reach = _distance(height, width, float(rng.uniform(1.0, 4.5)), rng)
    return _tint((float(rng.uniform(0.2, 0.8)) * np.exp(-(reach**2))).astype(np.float32), rng)


def light(height: int, width: int, rng: np.random.Generator) -> Field:
    """Factors of uneven light: a gradient, dark corners, on some pages the shadow of the fold."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y / height - 0.5, x / width - 0.5
    angle, slope = float(rng.uniform(0, 2 * np.pi)), abs(float(rng.normal(0, 0.10)))
    field = 1 + slope * (np.cos(angle) * x + np.sin(angle) * y) - float(rng.uniform(0, 0.3)) * (x * x + y * y)
    if rng.random() < 0.3:
        side = x + 0.5 if rng.random() < 0.5 else 0.5 - x
        field = field - float(rng.uniform(0.15, 0.5)) * np.exp(-side / float(rng.uniform(0.04, 0.14)))
    factors: Field = (field * float(rng.uniform(0.95, 1.04))).astype(np.float32)
    return factors
