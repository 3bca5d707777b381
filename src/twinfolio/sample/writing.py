"""A hand at work: words in type become ink on a sheet, drawn at ``SCALE`` times the size of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from twinfolio.sample.faces import Ink, Word, render_word
from twinfolio.sample.scribes import Hand, Manuscript
from twinfolio.sample.words import draw_word

SCALE = 3
BORDER = 60
"""Sheet around the page on each side, in sheet pixels, for skew and crop."""
INK, RED = 0, 1
"""Layers of a sheet."""

_TEETH, _TOP, _FAR = 0.26, 0.80, 3.0
_DOT_SHIFT = 4


class Placed(NamedTuple):
    """A word's place on the sheet: where its line and its right end meet, and the layer."""

    word: Word
    x: float
    y: float
    layer: int


def write_sheet(manuscript: Manuscript, height: int, width: int, rng: np.random.Generator) -> tuple[Ink, list[float]]:
    """Write a sheet full of lines.

    Args:
        manuscript: Gives hand and layout.
        height: Height of the page in pixels.
        width: Width of the page in pixels.
        rng: Source of the text and of what varies within a hand.

    Returns:
        (``SCALE`` x height + 2 ``BORDER``, ``SCALE`` x width + 2 ``BORDER``, 2) coverage of the layers, and the
        heights of the lines.
    """
    shape = (SCALE * height + 2 * BORDER, SCALE * width + 2 * BORDER)
    layers: list[Ink] = [np.zeros(shape, dtype=np.uint8) for _ in (INK, RED)]
    lines = list(_baselines(manuscript, shape[0], rng))
    for line in lines:
        for placed in _set_line(manuscript, line, shape[1], rng):
            _write_word(layers[placed.layer], placed, manuscript.hand, _em(manuscript), rng)
    return np.stack(layers, axis=2), lines


def _em(manuscript: Manuscript) -> int:
    return round(SCALE * manuscript.workshop.pitch * manuscript.hand.size)


def _baselines(manuscript: Manuscript, height: int, rng: np.random.Generator) -> Iterator[float]:
    """Heights of the lines; now and then one is left white, as before a new chapter."""
    pitch = SCALE * manuscript.workshop.pitch
    y = float(rng.uniform(0.2, 1.2)) * pitch
    while y < height + 0.4 * pitch:
        if rng.random() > 0.03:
            yield y + float(rng.normal(0, 0.02)) * pitch
        y += pitch


def _set_line(manuscript: Manuscript, y: float, width: int, rng: np.random.Generator) -> Iterator[Placed]:
    """Set words from the right margin to the left one; the last may overrun it a little."""
    hand, shop, em = manuscript.hand, manuscript.workshop, _em(manuscript)
    x = width - BORDER - SCALE * shop.margin + float(rng.normal(0, 0.06)) * em
    end = BORDER + SCALE * shop.margin
    red_from = -1.0 if rng.random() > shop.rubrics else x
    while x > end + 0.4 * em:
        word = render_word(draw_word(rng, hand.kashida), shop.face, em, hand.ligatures > 0.5)
        red = red_from > 0 or rng.random() < shop.rubrics
        yield Placed(word, x, y + float(rng.normal(0, 0.025)) * em, RED if red else INK)
        red_from = red_from if rng.random() < 0.5 else -1.0
        x -= word.advance * hand.breadth + em * max(hand.gap + float(rng.normal(0, 0.05)), 0.0)


def _write_word(layer: Ink, placed: Placed, hand: Hand, em: int, rng: np.random.Generator) -> None:
    """Bend a word into the hand and put it on the sheet, then its dots."""
    if placed.word.body.size == 0:
        return
    tilt = hand.tilt + float(rng.normal(0, 0.015))
    body, left, top = _bend(placed.word, hand, em, tilt)
    _paste(layer, body, round(placed.x) + left, round(placed.y) + top)
    for x, y, pair in placed.word.dots:
        if rng.random() >= hand.dot_drop:
            at_x, at_y = _bend_point(x, y, hand, em, tilt)
            _write_dot(layer, placed.x + at_x, placed.y + at_y, pair, hand, em, rng)


def _heights(hand: Hand) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Knots of the map between heights in type and in the hand, in em above the line."""
    typed = np.array([-_FAR, 0.0, _TEETH, _TOP, _FAR])
    teeth = _TEETH * hand.tooth
    rise = np.array([0.0, (_TOP - _TEETH) * hand.ascender, (_FAR - _TEETH) * hand.ascender])
    return typed, np.concatenate([[-_FAR * hand.descender], [0.0], teeth + rise])


def _lean(height: npt.NDArray[np.float64] | float, hand: Hand) -> npt.NDArray[np.float64] | float:
    """Shift to the right, in em, of what stands ``height`` em above the line."""
    return hand.slant * height + hand.bow * height * np.abs(height)


def _bend(word: Word, hand: Hand, em: int, tilt: float) -> tuple[Ink, int, int]:
    """Warp a word's body: stretch in height and breadth, lean, tilt.

    Returns:
        The warped body and the x and y of its first pixel from the word's origin.
    """
    typed, written = _heights(hand)
    high, wide = word.body.shape
    top = -em * float(np.interp(-word.top / em, typed, written)) - 4
    bottom = em * -float(np.interp(-(word.top + high) / em, typed, written)) + 4 + max(tilt, 0) * wide * hand.breadth
    left, right = word.left * hand.breadth - 0.5 * em, (word.left + wide) * hand.breadth + 0.5 * em
    top -= max(-tilt, 0) * wide * hand.breadth
    rows = np.arange(int(top), int(bottom) + 1, dtype=np.float64)
    columns = np.arange(int(left), int(right) + 1, dtype=np.float32)
    above = -rows / em
    from_y = (-em * np.interp(above, written, typed) - word.top).astype(np.float32)
    shift = (em * np.asarray(_lean(above, hand))).astype(np.float32)
    map_x = (columns[None] - shift[:, None]) / np.float32(hand.breadth) - np.float32(word.left)
    map_y = np.broadcast_to(from_y[:, None], map_x.shape) + np.float32(tilt) * columns[None]
    return cv2.remap(word.body, map_x, map_y, cv2.INTER_LINEAR), int(left), int(top)


def _bend_point(x: float, y: float, hand: Hand, em: int, tilt: float) -> tuple[float, float]:
    """Where ``_bend`` takes a point of the type."""
    typed, written = _heights(hand)
    at_y = -em * float(np.interp(-y / em, typed, written)) - tilt * x * hand.breadth
    return x * hand.breadth + em * float(_lean(-at_y / em, hand)), at_y


def _write_dot(layer: Ink, x: float, y: float, pair: bool, hand: Hand, em: int, rng: np.random.Generator) -> None:
    """A touch of the pen: round or long, a pair apart or as one dash."""
    x += em * (hand.dot_right + float(rng.normal(0, 0.025)))
    y += em * (-hand.dot_up + float(rng.normal(0, 0.02)))
    size = em * hand.dot_size * float(rng.uniform(0.88, 1.12))
    if pair and rng.random() < hand.dot_join:
        _ellipse(layer, x, y, 1.25 * size, 0.42 * size, float(rng.normal(0.1, 0.12)))
        return
    for side in (-0.62, 0.62) if pair else (0.0,):
        root = float(np.sqrt(hand.dot_long))
        angle = hand.dot_angle + float(rng.normal(0, 0.12))
        _ellipse(layer, x + side * size * 1.1, y, 0.5 * size * root, 0.5 * size / root, angle)


def _ellipse(layer: Ink, x: float, y: float, long: float, short: float, angle: float) -> None:
    """Fill an ellipse with given half axes, placed to a sixteenth of a pixel."""
    unit = 1 << _DOT_SHIFT
    centre, axes = (round(x * unit), round(y * unit)), (round(long * unit), round(short * unit))
    cv2.ellipse(layer, centre, axes, np.degrees(angle), 0, 360, 255, -1, cv2.LINE_AA, _DOT_SHIFT)


def _paste(layer: Ink, body: Ink, x: int, y: int) -> None:
    """Lay ``body`` over ``layer``, cut at its edges."""
    high, wide = layer.shape
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + body.shape[1], wide), min(y + body.shape[0], high)
    if x0 < x1 and y0 < y1:
        part = layer[y0:y1, x0:x1]
        np.maximum(part, body[y0 - y : y1 - y, x0 - x : x1 - x], out=part)
