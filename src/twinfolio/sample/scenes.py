"""Made-up streets seen through windows: images whose common share of the view is known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import ParamsError

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_HEIGHT, _WIDTH = 144, 480
"""A street, in pixels."""


@dataclass(frozen=True)
class Views:
    """Windows on streets.

    Attributes:
        images: uint8 (N, side, side, 3).
        scenes: (N,) street of each.
        corners: (N, 2) x and y of each window's upper left corner.
    """

    images: NDArray[np.uint8]
    scenes: NDArray[np.int64]
    corners: NDArray[np.int64]

    @property
    def side(self) -> int:
        """Of a window, in pixels."""
        return int(self.images.shape[1])


def draw_views(scenes: int, views: int, side: int, seed: int, drift: int = 0) -> Views:
    """Look at streets through windows, each look in its own light and with its own noise.

    Args:
        scenes: Streets.
        views: Windows on each.
        side: Of a window, in pixels.
        seed: Of the streets.
        drift: Of the windows and the light: the same streets are seen anew by another one.

    Raises:
        ParamsError: The window is larger than a street.
    """
    if not 16 <= side <= _HEIGHT:
        raise ParamsError(f"a window of {side} pixels", f"choose 16 to {_HEIGHT}")
    images, places = [], []
    for scene in range(scenes):
        street = draw_street(np.random.default_rng([seed, scene]))
        look = np.random.default_rng([seed, scene, 1 + drift])
        for _ in range(views):
            x, y = int(look.integers(_WIDTH - side + 1)), int(look.integers(_HEIGHT - side + 1))
            window = street[y : y + side, x : x + side]
            lit = window * look.uniform(0.7, 1.3) + look.uniform(-20, 20) + look.normal(0, 4, window.shape)
            images.append(lit.clip(0, 255).astype(np.uint8))
            places.append((x, y))
    return Views(np.stack(images), np.repeat(np.arange(scenes), views), np.array(places, np.int64))


def overlap(a: Views, b: Views) -> NDArray[np.float32]:
    """Share (N, M) of a window of ``a`` (N) that one of ``b`` (M) shows too; 0 on other streets.

    Windows are of one size, so the share is the same seen from either.
    """
    apart = np.abs(a.corners[:, None] - b.corners[None])
    common = np.maximum(1 - apart / a.side, 0).prod(axis=2)
    return np.where(a.scenes[:, None] == b.scenes, common, 0).astype(np.float32)


def draw_street(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A street (144, 480, 3): sky, houses with windows and doors, trees, signs.

    Args:
        rng: What it is drawn from.
    """
    from PIL import Image
    from PIL.ImageDraw import Draw

    sky = tuple(int(value) for value in rng.integers([120, 150, 190], [190, 210, 255]))
    street = Image.new("RGB", (_WIDTH, _HEIGHT), sky)
    draw, ground = Draw(street), int(rng.integers(112, 126))
    left = -int(rng.integers(30))
    while left < _WIDTH:
        right = left + int(rng.integers(36, 90))
        _draw_house(draw, rng, left, right, ground)
        left = right + int(rng.integers(0, 14))
    draw.rectangle((0, ground, _WIDTH, _HEIGHT), fill=tuple(int(value) for value in rng.integers(60, 120, 3)))
    for _ in range(int(rng.integers(4, 10))):
        _draw_tree(draw, rng, ground)
    for _ in range(int(rng.integers(6, 14))):
        x, y = int(rng.integers(_WIDTH)), int(rng.integers(ground - 60, ground))
        draw.rectangle((x, y, x + int(rng.integers(4, 16)), y + int(rng.integers(3, 9))), fill=_colour(rng))
    return np.asarray(street)


def _draw_house(draw: ImageDraw, rng: np.random.Generator, left: int, right: int, ground: int) -> None:
    """Walls, a roof, rows of windows, a door."""
    top = int(rng.integers(15, ground - 35))
    draw.rectangle((left, top, right, ground), fill=_colour(rng), outline=_colour(rng))
    if rng.random() < 0.5:
        draw.polygon(
            [(left, top), (right, top), ((left + right) // 2, top - int(rng.integers(6, 15)))], fill=_colour(rng)
        )
    across, down = int(rng.integers(9, 16)), int(rng.integers(12, 20))
    wide, high, glass = int(rng.integers(4, across - 3)), int(rng.integers(5, down - 4)), _colour(rng)
    for x in range(left + 4, right - wide - 2, across):
        for y in range(top + 5, ground - high - 14, down):
            lit = glass if rng.random() < 0.8 else _colour(rng)
            draw.rectangle((x, y, x + wide, y + high), fill=lit, outline=_colour(rng))
    door = int(rng.integers(left + 4, max(left + 5, right - 12)))
    draw.rectangle((door, ground - 13, door + 7, ground), fill=_colour(rng))


def _draw_tree(draw: ImageDraw, rng: np.random.Generator, ground: int) -> None:
    """A trunk and a crown of leaves."""
    x, height = int(rng.integers(_WIDTH)), int(rng.integers(16, 40))
    draw.line((x, ground, x, ground - height), fill=(70, 50, 35), width=3)
    for _ in range(14):
        dx, dy, radius = (int(value) for value in rng.integers([-9, -9, 2], [10, 10, 7]))
        green = (int(rng.integers(20, 80)), int(rng.integers(80, 160)), int(rng.integers(20, 70)))
        centre = (x + dx, ground - height + dy)
        draw.ellipse((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), fill=green)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(30, 235, 3))
    return red, green, blue
