"""Match maps as pictures: a map's places as colours over the grey image, and the words that say what they mean."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Colour = tuple[int, int, int]

FOR: Colour = (213, 94, 0)
AGAINST: Colour = (0, 114, 178)
"""Okabe and Ito's vermilion and blue: colour-blind readers tell them apart, and neither is the colour of a page."""
_STRONGEST, _PALE = 0.7, 0.3
"""Share of the colour at the limit, and of white in the grey: ink must stay legible below it."""


def overlay(image: Image, values: Floats, limit: float | None = None) -> Image:
    """An image in grey under its map: vermilion where a place speaks for the match, blue where against.

    Args:
        image: uint8 (H, W, 3) or (H, W, 1).
        values: (h, w); the cells between places are interpolated linearly.
        limit: The absolute value in full colour; None takes the map's largest. Give both maps of a pair one limit, or
            they cannot be compared.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: The map is not finite, or not two-dimensional.
    """
    from PIL import Image as Pictures

    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"a map must be finite and (h, w), not {values.shape}")
    height, width = image.shape[:2]
    fine = Pictures.fromarray(np.asarray(values, np.float32)).resize((width, height), Pictures.Resampling.BILINEAR)
    return _blend(_pale(image), np.asarray(fine), shared_limit(values) if limit is None else limit)


def mark_pairs(image: Image, points: Floats, order: Floats) -> Image:
    """An image in pale grey with circles where key points match: the two ends of a pair have one colour.

    Args:
        image: uint8 (H, W, 3) or (H, W, 1).
        points: (m, 2) x and y in pixels.
        order: (m,) from 0 to 1, what colours follow; the same on both images.

    Returns:
        uint8 (H, W, 3).
    """
    from PIL import Image as Pictures
    from PIL import ImageDraw

    picture = Pictures.fromarray(np.round(_pale(image)).astype(np.uint8))
    radius = max(2, round(max(picture.size) / 60))
    draw = ImageDraw.Draw(picture)
    for (x, y), place in zip(points.tolist(), order.tolist(), strict=True):
        colour = f"hsl({round(300 * place)}, 90%, 45%)"
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=max(1, radius // 2))
    return np.asarray(picture)


def shared_limit(*maps: Floats) -> float:
    """The largest absolute value of some maps, so that one colour means one number in all of them."""
    return max(float(np.abs(values).max(initial=0)) for values in maps)


def colour_bar(width: int = 256, height: int = 12) -> Image:
    """The colours from minus ``limit`` to ``limit``, uint8 (height, width, 3)."""
    ramp = np.broadcast_to(np.linspace(-1, 1, width), (height, width))
    return _blend(np.full((height, width, 3), 235.0), ramp, 1.0)


def legend(measure: str, total: float, *, each: bool) -> str:
    """One sentence for below a pair of maps.

    Args:
        measure: ``Split.measure``.
        total: ``Split.total``.
        each: ``Split.each``.
    """
    whose = "Each map sums" if each else "Both maps together sum"
    return f"{whose} to {measure}, {total:.3f}. Orange speaks for the match, blue against it."


def png_data(image: Image) -> str:
    """An image as the address of an HTML ``img``."""
    from PIL import Image as Pictures

    buffer = io.BytesIO()
    Pictures.fromarray(image).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _pale(image: Image) -> NDArray[np.float64]:
    """An image in pale grey (H, W, 3)."""
    return np.asarray((1 - _PALE) * np.repeat(image.mean(2, keepdims=True), 3, axis=2) + _PALE * 255)


def _blend(grey: NDArray[np.float64], values: NDArray[np.float64] | Floats, limit: float) -> Image:
    """Colour over grey (H, W, 3); its strength is the value's share of the limit."""
    strength = np.clip(np.abs(values) / limit, 0, 1)[..., None] * _STRONGEST if limit > 0 else 0.0
    colour = np.where(values[..., None] > 0, np.array(FOR), np.array(AGAINST))
    return np.asarray(np.round((1 - strength) * grey + strength * colour), dtype=np.uint8)
