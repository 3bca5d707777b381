"""How a sheet lies under the camera, and what is ruled straight on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from twinfolio.sample.faces import Ink
from twinfolio.sample.noise import Field, smooth_noise
from twinfolio.sample.palettes import RGB
from twinfolio.sample.scribes import Hand, Workshop
from twinfolio.sample.writing import BORDER, SCALE

_SHIFT = 4


class Pose(NamedTuple):
    """Turn in radians, scale, and shift in sheet pixels of the page on its sheet."""

    turn: float
    zoom: float
    right: float
    down: float


def draw_pose(rng: np.random.Generator) -> Pose:
    """A page is never quite straight, centred or of the same size."""
    return Pose(float(rng.normal(0, 0.014)), float(rng.normal(1, 0.03)), *(float(s) for s in rng.uniform(-15, 15, 2)))


def lay_out(sheet: Ink, hand: Hand, em: float, pose: Pose, rng: np.random.Generator) -> Ink:
    """Take the page from the sheet, with the hand's tremor and wander.

    Args:
        sheet: Layers of ``write_sheet``.
        hand: Gives tremor and wander.
        em: Size of the writing in sheet pixels.
        pose: How the page lies.
        rng: Source of the page's own displacement.

    Returns:
        The layers without their border, still ``SCALE`` times the page.
    """
    high, wide = sheet.shape[0] - 2 * BORDER, sheet.shape[1] - 2 * BORDER
    y = np.arange(high, dtype=np.float32)[:, None] - np.float32(high / 2)
    x = np.arange(wide, dtype=np.float32)[None] - np.float32(wide / 2)
    cos, sin = np.float32(np.cos(pose.turn) / pose.zoom), np.float32(np.sin(pose.turn) / pose.zoom)
    tremor, length = np.float32(hand.tremor * em), max(hand.tremor_length * em, 6.0)
    map_x = tremor * smooth_noise(high, wide, length, rng)
    map_y = tremor * smooth_noise(high, wide, length, rng)
    map_y += np.float32(hand.wander * em) * smooth_noise(high, wide, 2.5 * em, rng)
    map_x += cos * x + (sin * y + np.float32(wide / 2 + BORDER + pose.right))
    map_y += cos * y - (sin * x - np.float32(high / 2 + BORDER + pose.down))
    page: Ink = cv2.remap(sheet, map_x, map_y, cv2.INTER_LINEAR)
    return page


def rule_page(
    paper: RGB, lines: Sequence[float], shop: Workshop, pose: Pose, colours: Sequence[npt.NDArray[np.float32]]
) -> RGB:
    """Draw what a ruler drew: scored lines under the writing and a frame around it.

    Args:
        paper: (H, W, 3) leaf to draw on.
        lines: Heights of the lines of writing on the sheet.
        shop: Gives ruling and frame.
        pose: How the page lies.
        colours: Of the frame's first and second line.
    """
    high, wide = SCALE * paper.shape[0] + 2 * BORDER, SCALE * paper.shape[1] + 2 * BORDER
    rows = [((0.0, y), (float(wide), y)) for y in lines]
    if shop.ruling > 0:
        paper = paper - 13 * shop.ruling * _lines(rows, pose, paper.shape[:2], 0.8)[:, :, None]
    for line in range(shop.frame):
        inset = BORDER + SCALE * (max(shop.margin - 5, 3) - 3 * line)
        sides = [((x, 0.0), (x, float(high))) for x in (inset, wide - inset)]
        cover = 0.75 * _lines(sides, pose, paper.shape[:2], 1.0)[:, :, None]
        paper = paper * (1 - cover) + colours[line] * cover
    return paper


def _lines(
    ends: Sequence[tuple[tuple[float, float], tuple[float, float]]], pose: Pose, shape: tuple[int, ...], softness: float
) -> Field:
    """Coverage, 0 to 1, of one-pixel lines given on the sheet."""
    drawn: Ink = np.zeros(shape[:2], dtype=np.uint8)
    for start, end in ends:
        cv2.line(drawn, _on_page(start, pose, shape), _on_page(end, pose, shape), 255, 1, cv2.LINE_AA, _SHIFT)
    cover: Field = cv2.GaussianBlur(drawn, (0, 0), 0.5 * softness).astype(np.float32) / 255
    return cover


def _on_page(point: tuple[float, float], pose: Pose, shape: tuple[int, ...]) -> tuple[int, int]:
    """Where ``lay_out`` takes a point of the sheet (tremor apart), in sixteenths of a page pixel."""
    x = point[0] - BORDER - pose.right - SCALE * shape[1] / 2
    y = point[1] - BORDER - pose.down - SCALE * shape[0] / 2
    cos, sin = pose.zoom * np.cos(pose.turn), pose.zoom * np.sin(pose.turn)
    at_x, at_y = cos * x - sin * y + SCALE * shape[1] / 2, sin * x + cos * y + SCALE * shape[0] / 2
    unit, centre = (1 << _SHIFT) / SCALE, (SCALE - 1) / 2  # pixel 0 of the page is centred on pixel 1 of the sheet
    return round(unit * (at_x - centre)), round(unit * (at_y - centre))
