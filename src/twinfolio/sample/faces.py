"""Naskh type faces, the models that the hands of the sample follow, rendered word by word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import ImageFont

Ink = npt.NDArray[np.uint8]
Dot = tuple[float, float, bool]
"""x and y of its centre, and whether it stands for a pair."""


class Face(NamedTuple):
    """A font file of an installed package; ``weight`` only where the font has that axis."""

    package: str
    file: str
    weight: int | None = None


FACES: tuple[Face, ...] = (
    Face("fontpkg_amiri", "files/Amiri-Regular.ttf"),
    Face("pylopdf_fonts_ar", "NotoNaskhArabic-Variable.ttf", 400),
    Face("fontpkg_amiri", "files/Amiri-Bold.ttf"),
    Face("pylopdf_fonts_ar", "NotoNaskhArabic-Variable.ttf", 600),
    Face("fontpkg_amiri", "files/Amiri-Italic.ttf"),
)
_PLAIN = ("-liga", "-dlig", "-calt")
_RICH = ("liga", "dlig", "calt")
_DOT_SIDE = 0.21
_PAIR_ASPECT = 1.3


@dataclass(frozen=True)
class Word:
    """A word in type: the ink without its dots, and where the dots belong.

    Coordinates have their origin where the word begins: on the line, at its right end; x grows to the right.
    """

    body: Ink
    """(H, W) coverage, 0 to 255, without dots."""
    left: int
    """x of the body's first column."""
    top: int
    """y of the body's first row."""
    advance: float
    """Width the word takes on its line."""
    dots: tuple[Dot, ...]
    """Centre of each dot and whether it stands for a pair."""


@lru_cache(maxsize=64)
def _font(face: int, size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    package, file, weight = FACES[face]
    with resources.as_file(resources.files(package) / file) as path:
        font = ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.RAQM)
    if weight is not None:
        font.set_variation_by_axes([weight])
    return font


@lru_cache(maxsize=4096)
def render_word(text: str, face: int, size: int, ligatures: bool) -> Word:
    """Shape and render one word, and take its dots off.

    Args:
        text: The word, in logical order.
        face: Index into ``FACES``.
        size: Em in pixels.
        ligatures: Use the optional ligatures of the face.
    """
    font, features = _font(face, size), list(_RICH if ligatures else _PLAIN)
    mask, (left, top) = font.getmask2(text, mode="L", direction="rtl", features=features, anchor="ls")
    ink = np.array(mask, dtype=np.uint8).reshape(mask.size[1], mask.size[0])
    advance = float(font.getlength(text, direction="rtl", features=features))
    left = round(left - advance)
    body, dots = _take_dots(ink, _DOT_SIDE * size)
    return Word(body, left, top, advance, tuple((x + left, y + top, pair) for x, y, pair in dots))


def _take_dots(ink: Ink, side: float) -> tuple[Ink, list[Dot]]:
    """Split off the small separate pieces of a word: its dots."""
    import cv2

    number, pieces, boxes, centres = cv2.connectedComponentsWithStats((ink > 96).astype(np.uint8), connectivity=8)
    body, dots = ink.copy(), []
    for piece in range(1, number):
        x, y, width, height, _ = (int(value) for value in boxes[piece])
        pair = width > _PAIR_ASPECT * height
        if height > side or width > (2 * side if pair else side):
            continue
        dots.append((float(centres[piece][0]), float(centres[piece][1]), pair))
        box = np.s_[max(y - 1, 0) : y + height + 1, max(x - 1, 0) : x + width + 1]
        body[box][(pieces[box] == piece) | (pieces[box] == 0)] = 0
    return body, _join_pairs(sorted(dots), side)


def _join_pairs(dots: list[Dot], side: float) -> list[Dot]:
    """Two single dots side by side become one pair; ``dots`` from left to right."""
    joined: list[Dot] = []
    for x, y, pair in dots:
        beside = next((dot for dot in joined if not (pair or dot[2]) and _beside(dot, x, y, side)), None)
        if beside is None:
            joined.append((x, y, pair))
        else:
            joined[joined.index(beside)] = ((beside[0] + x) / 2, (beside[1] + y) / 2, True)
    return joined


def _beside(dot: Dot, x: float, y: float, side: float) -> bool:
    return abs(dot[0] - x) < side and abs(dot[1] - y) < side / 3
