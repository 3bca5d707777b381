"""Alphabets that nobody writes, drawn by people who do not exist: a stand-in for Omniglot on machines without it.

An alphabet is a small stock of strokes and a way of putting two to four of them together, so that its characters
resemble each other more than those of other alphabets; a drawer has a slant, a size and a pen; every drawing wavers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.sources.omniglot import RUN_CLASSES, RUNS, SIDES, SIZE, Drawings, Runs

Points = NDArray[np.float64]
"""(P, 2): places in the unit square."""
DRAWERS = 20
_CURVE = np.linspace(0, 1, 24)[:, None]
_STOCK = 7
_WAVER = 0.028


@dataclass(frozen=True)
class Drawer:
    """A hand.

    Attributes:
        shape: (2, 2) slant, size and turn of all it draws.
        place: (2,) where it draws.
        waver: How far its points stray, in sides.
        pen: Width in pixels.
    """

    shape: NDArray[np.float64]
    place: NDArray[np.float64]
    waver: float
    pen: int


def drawn_alphabets(background: int, evaluation: int, characters: int, seed: int) -> dict[str, Drawings]:
    """Both sides of a made-up Omniglot: ``background`` and ``evaluation``.

    Args:
        background: Alphabets of that side.
        evaluation: Alphabets of the other.
        characters: Of each alphabet; each is drawn once by each of its 20 drawers.
        seed: Of everything.
    """
    generator = np.random.default_rng(seed)
    sides, number = {}, 0
    for side, alphabets in zip(SIDES, (background, evaluation), strict=True):
        images, names = [], list[str]()
        for alphabet in range(1, alphabets + 1):
            drawers = [_drawer(generator) for _ in range(DRAWERS)]
            for place, strokes in enumerate(_alphabet(characters, generator), start=1):
                number += 1
                for hand, drawer in enumerate(drawers, start=1):
                    images.append(_draw(strokes, drawer, generator))
                    names.append(f"{side.title()}_{alphabet:02d}/character{place:02d}/{number:04d}_{hand:02d}")
        sides[side] = Drawings(np.stack(images), names)
    return sides


def drawn_runs(evaluation: Drawings, seed: int) -> Runs:
    """20 runs like the official ones: 20 characters of one alphabet, shown by one drawer and asked about by another.

    Args:
        evaluation: Alphabets of 20 characters or more.
        seed: Of the draw.
    """
    generator = np.random.default_rng(seed)
    classes, drawers = np.array(evaluation.classes), np.array(evaluation.drawers)
    alphabets = np.array(evaluation.alphabets)
    names: list[str] = []
    images, families, queries, answers, support = [], [], [], [], []
    for run in range(1, RUNS + 1):
        alphabet = generator.choice(np.unique(alphabets))
        shown = generator.choice(np.unique(classes[alphabets == alphabet]), RUN_CLASSES, replace=False)
        one, other = generator.choice(np.unique(drawers), 2, replace=False)
        order = generator.permutation(RUN_CLASSES)
        start = len(names)
        for part, drawer, asked in (("training/class", one, shown), ("test/item", other, shown[order])):
            for place, name in enumerate(asked, start=1):
                images.append(evaluation.images[np.flatnonzero((classes == name) & (drawers == drawer))[0]])
                names.append(f"run{run:02d}/{part}{place:02d}")
        families += [f"run{run:02d}"] * RUN_CLASSES
        queries += list(range(start + RUN_CLASSES, start + 2 * RUN_CLASSES))
        answers += order.tolist()
        support += [np.arange(start, start + RUN_CLASSES)[:, None]] * RUN_CLASSES
    columns = (np.array(families), np.array(queries), np.array(answers), np.stack(support))
    return Runs(np.stack(images), names, *columns)


def _alphabet(characters: int, generator: np.random.Generator) -> list[list[Points]]:
    """The strokes of each character: control points of cubic curves."""
    curved, most = generator.uniform(0.05, 0.35), int(generator.integers(2, 5))
    stock = [_stroke(curved, generator) for _ in range(_STOCK)]
    return [
        [
            stock[generator.integers(_STOCK)] * generator.uniform(0.6, 1.1) + generator.uniform(0.2, 0.8, 2)
            for _ in range(generator.integers(2, most + 1))
        ]
        for _ in range(characters)
    ]


def _stroke(curved: float, generator: np.random.Generator) -> Points:
    """Four control points about the origin."""
    angle, length = generator.uniform(0, np.pi), generator.uniform(0.3, 0.75)
    along = np.array([np.cos(angle), np.sin(angle)]) * length
    line = np.linspace(-0.5, 0.5, 4)[:, None] * along
    return np.asarray(line + generator.normal(0, curved, (4, 2)))


def _drawer(generator: np.random.Generator) -> Drawer:
    size = generator.uniform(0.62, 0.85) * generator.uniform(0.9, 1.1, 2)
    slant, turn = generator.normal(0, 0.12), generator.normal(0, 0.08)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shape = rotation @ np.array([[1.0, slant], [0.0, 1.0]]) @ np.diag(size)
    return Drawer(shape, generator.uniform(-0.06, 0.06, 2), generator.uniform(0.7, 1.3) * _WAVER, 2)


def _draw(strokes: list[Points], drawer: Drawer, generator: np.random.Generator) -> NDArray[np.uint8]:
    """One drawing: ink 255 on 0."""
    import cv2

    image = np.zeros((SIZE, SIZE), np.uint8)
    t = _CURVE
    for control in strokes:
        strayed = control + generator.normal(0, drawer.waver, control.shape) + generator.normal(0, drawer.waver, 2)
        a, b, c, d = (strayed - 0.5) @ drawer.shape.T + 0.5 + drawer.place
        curve = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        cv2.polylines(image, [np.round(curve * SIZE).astype(np.int32)], False, 255, drawer.pen)
    return image
