"""From bent type to ink: a pen with an edge, a width that breathes, ink that runs out."""

from __future__ import annotations

import cv2
import numpy as np

from twinfolio.sample.faces import Ink
from twinfolio.sample.noise import Field, smooth_noise
from twinfolio.sample.scribes import Hand
from twinfolio.sample.writing import SCALE


def draw_strokes(layer: Ink, hand: Hand, em: float, rng: np.random.Generator) -> Field:
    """Go over one layer with the pen.

    Args:
        layer: (H, W) coverage at ``SCALE`` times the page.
        hand: Gives the nib and the weight.
        em: Size of the writing in pixels of the layer.
        rng: Source of the width field.

    Returns:
        (H / ``SCALE``, W / ``SCALE``) coverage, 0 to 1.
    """
    high, wide = layer.shape
    broad = cv2.dilate(layer, _nib(hand.nib * em, hand.nib_angle))
    soft = cv2.GaussianBlur(broad, (0, 0), 0.028 * em).astype(np.float32) / 255
    level = hand.weight + 0.06 * smooth_noise(high, wide, 1.2 * em, rng)
    level += 0.05 * smooth_noise(high, wide, 0.25 * em, rng)
    sharp = np.clip((soft - level) * 3.5 + 0.5, 0, 1)
    cover: Field = cv2.resize(sharp, (wide // SCALE, high // SCALE), interpolation=cv2.INTER_AREA)
    return cover


def _nib(length: float, angle: float) -> Ink:
    """The pen's edge as a structuring element: a line of ``length`` pixels."""
    half = max(round(length / 2 + 1), 1)
    nib: Ink = np.zeros((2 * half + 1, 2 * half + 1), dtype=np.uint8)
    dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
    cv2.line(nib, (round(half - dx), round(half - dy)), (round(half + dx), round(half + dy)), 1, 1)
    return nib


def ink_supply(height: int, width: int, pitch: float, evenness: float, rng: np.random.Generator) -> Field:
    """Density of the ink, (height, width): it runs out along a line until the pen is dipped again.

    Args:
        height: Of the page in pixels.
        width: Of the page in pixels.
        pitch: Distance of lines in pixels.
        evenness: 1 is ink of one density.
        rng: Source of the dips.
    """
    lines, words = round(height / pitch) + 1, 7
    phase = (np.arange(lines * words) * float(rng.uniform(0.06, 0.14)) + float(rng.uniform(0, 1))) % 1.0
    phase = phase + rng.normal(0, 0.12, phase.size)
    coarse = (1 - 0.55 * phase).reshape(lines, words)[:, ::-1].astype(np.float32)
    supply = cv2.resize(np.ascontiguousarray(coarse), (width, height), interpolation=cv2.INTER_LINEAR)
    grain = 0.10 * smooth_noise(height, width, 2.5, rng)
    density: Field = np.clip(1 - (1 - evenness) * (1 - supply) + grain, 0.12, 1.0)
    return density
