"""Who wrote a manuscript, on what and with what: hands, workshops and manuscripts, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from twinfolio.sample.faces import FACES


class Range(NamedTuple):
    """Bounds of a hand's trait and how much the eye makes of it."""

    low: float
    high: float
    weight: float


@dataclass(frozen=True)
class Hand:
    """What makes a scribe's writing their own; lengths in em unless said otherwise."""

    size: float
    """Em over the distance of two lines."""
    slant: float
    """Lean of the upright strokes: shift to the right per unit of height."""
    bow: float
    """Bend of the upright strokes: shift per squared unit of height."""
    ascender: float
    """Stretch of what rises above the teeth."""
    tooth: float
    """Stretch of the teeth and bowls on the line."""
    descender: float
    """Stretch of what falls below the line."""
    breadth: float
    """Stretch along the line."""
    gap: float
    """White between two words."""
    kashida: float
    """Share of words with a lengthened join."""
    tilt: float
    """Slope of each word against the line; positive falls to the left."""
    nib: float
    """Breadth of the pen."""
    nib_angle: float
    """Angle of the pen's edge in radians."""
    weight: float
    """Threshold of the inked area: lower is bolder."""
    tremor: float
    """Size of the fast displacement of outlines."""
    tremor_length: float
    """Wavelength of that displacement."""
    wander: float
    """Size of the slow displacement of the line."""
    dot_size: float
    """Diameter of a dot."""
    dot_long: float
    """Length of a dot over its breadth: 1 is round."""
    dot_angle: float
    """Direction of a long dot in radians."""
    dot_right: float
    """How far dots stray to the right of their letter."""
    dot_up: float
    """How far dots keep from their letter."""
    dot_drop: float
    """Share of dots left out."""
    dot_join: float
    """Share of pairs of dots drawn as one dash."""
    ligatures: float
    """Above one half, optional ligatures are used."""


TRAITS: dict[str, Range] = {
    "size": Range(0.66, 0.86, 1.0),
    "slant": Range(-0.28, 0.30, 1.6),
    "bow": Range(-0.22, 0.22, 0.8),
    "ascender": Range(0.70, 1.45, 1.5),
    "tooth": Range(0.85, 1.25, 1.0),
    "descender": Range(0.65, 1.35, 1.0),
    "breadth": Range(0.85, 1.22, 1.2),
    "gap": Range(0.02, 0.26, 0.9),
    "kashida": Range(0.0, 0.35, 0.8),
    "tilt": Range(-0.04, 0.16, 1.0),
    "nib": Range(0.01, 0.085, 1.3),
    "nib_angle": Range(-1.3, 1.3, 0.8),
    "weight": Range(0.32, 0.58, 1.2),
    "tremor": Range(0.010, 0.034, 0.8),
    "tremor_length": Range(0.16, 0.40, 0.4),
    "wander": Range(0.02, 0.07, 0.3),
    "dot_size": Range(0.075, 0.135, 0.8),
    "dot_long": Range(1.0, 2.3, 0.8),
    "dot_angle": Range(-1.2, 1.2, 0.4),
    "dot_right": Range(-0.10, 0.14, 0.4),
    "dot_up": Range(-0.02, 0.12, 0.4),
    "dot_drop": Range(0.0, 0.35, 0.5),
    "dot_join": Range(0.0, 1.0, 0.8),
    "ligatures": Range(0.0, 1.0, 0.6),
}
_LOW = np.array([TRAITS[field.name].low for field in fields(Hand)])
_HIGH = np.array([TRAITS[field.name].high for field in fields(Hand)])
_WEIGHT = np.array([TRAITS[field.name].weight for field in fields(Hand)])


@dataclass(frozen=True)
class Workshop:
    """What scribes of one place share: face, inks, papers and the way a page is laid out."""

    face: int
    """Index into ``FACES``: the model the hand follows."""
    inks: tuple[int, ...]
    """Indices into ``palettes.INKS``, the usual one first."""
    papers: tuple[int, ...]
    """Indices into ``palettes.PAPERS``, the usual one first."""
    grey_scans: float
    """Share of pages photographed without colour."""
    pitch: float
    """Distance of two lines in pixels."""
    margin: float
    """White at the sides, in pixels; negative where the picture cuts into the text."""
    ruling: float
    """Strength of the ruled lines; 0 is none."""
    rubrics: float
    """Share of words in red."""
    frame: int
    """Lines of the frame around the text: 0 to 2."""


@dataclass(frozen=True)
class Manuscript:
    """One class of the sample: a hand in a workshop."""

    name: str
    """Shelfmark, also the folder's name."""
    workshop: Workshop
    """What it shares with others."""
    hand: Hand
    """What it shares with none."""
    pages: int
    """Number of pages."""


_FAMILY_SIZES = (3, 2, 2, 3, 2)
_COLLECTIONS = ("ms_or", "ms_arab", "cod_orient", "isl_ms", "suppl_ar", "ms_quart")
_CANDIDATES = 60
_SAME_WORKSHOP, _SAME_FACE, _OTHER_FACE = 0.65, 1.0, 1.5


def draw_manuscripts(seed: int, number: int, pages: tuple[int, int]) -> list[Manuscript]:
    """Draw the manuscripts: half of them in families of two or three that only their hands tell apart.

    Args:
        seed: Seed of the draw.
        number: Number of manuscripts.
        pages: Fewest and most pages of a manuscript; the counts are spread unevenly between them.

    Returns:
        Manuscripts sorted by name.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    workshops = _draw_workshops(number, rng)
    hands = _draw_hands(workshops, rng)
    names = _draw_names(number, rng)
    counts = _draw_counts(number, pages, rng)
    drawn = [Manuscript(*parts) for parts in zip(names, workshops, hands, counts, strict=True)]
    return sorted(drawn, key=lambda manuscript: manuscript.name)


def _draw_workshops(number: int, rng: np.random.Generator) -> list[Workshop]:
    """One workshop a manuscript, the same object for the members of a family."""
    workshops: list[Workshop] = []
    for kind, size in enumerate(_family_sizes(number)):
        workshops += [_draw_workshop(kind % len(FACES), rng)] * size
    return workshops


def _family_sizes(number: int) -> list[int]:
    """Sizes of the families, which hold at most half of the manuscripts; then ones."""
    sizes: list[int] = []
    while sum(sizes) + _FAMILY_SIZES[len(sizes) % len(_FAMILY_SIZES)] <= number / 2:
        sizes.append(_FAMILY_SIZES[len(sizes) % len(_FAMILY_SIZES)])
    return sizes + [1] * (number - sum(sizes))


def _draw_workshop(face: int, rng: np.random.Generator) -> Workshop:
    from twinfolio.sample.palettes import INKS, PAPERS

    return Workshop(
        face=face,
        inks=tuple(int(ink) for ink in rng.choice(len(INKS), size=2, replace=False)),
        papers=tuple(int(paper) for paper in rng.choice(len(PAPERS), size=3, replace=False)),
        grey_scans=float(rng.choice((0.02, 0.08, 0.90), p=(0.55, 0.3, 0.15))),
        pitch=float(rng.uniform(31, 46)),
        margin=float(rng.uniform(-14, 16)),
        ruling=float(rng.choice((0.0, 0.5, 1.0))),
        rubrics=float(rng.choice((0.0, 0.03, 0.08))),
        frame=int(rng.choice(3, p=(0.7, 0.15, 0.15))),
    )


def _draw_hands(workshops: list[Workshop], rng: np.random.Generator) -> list[Hand]:
    """Each hand is the candidate farthest from the hands so far, most of all from those of its own workshop."""
    chosen = np.empty((0, len(_LOW)))
    for index, workshop in enumerate(workshops):
        candidates = rng.random((_CANDIDATES, len(_LOW)))
        closeness = np.array([_closeness(workshop, other) for other in workshops[:index]])
        gaps = np.sqrt((((candidates[:, None] - chosen[None]) * _WEIGHT) ** 2).sum(axis=2)) * closeness
        best = int(gaps.min(axis=1).argmax()) if index else 0
        chosen = np.vstack([chosen, candidates[best]])
    return [Hand(*(float(value) for value in _LOW + unit * (_HIGH - _LOW))) for unit in chosen]


def _closeness(one: Workshop, other: Workshop) -> float:
    """Factor on the distance of two hands: small where little else tells the manuscripts apart."""
    if one is other:
        return _SAME_WORKSHOP
    return _SAME_FACE if one.face == other.face else _OTHER_FACE


def _draw_names(number: int, rng: np.random.Generator) -> list[str]:
    """Distinct shelfmarks, the number unique by itself."""
    numbers = rng.choice(np.arange(11, max(1999, 4 * number)), size=number, replace=False)
    return [f"{rng.choice(_COLLECTIONS)}_{shelf:04d}" for shelf in numbers]


def _draw_counts(number: int, pages: tuple[int, int], rng: np.random.Generator) -> list[int]:
    """Page counts from fewest to most, more of them small, in random order."""
    fewest, most = pages
    spread = np.linspace(0, 1, number) ** 1.3
    return [int(count) for count in rng.permutation(np.rint(fewest + (most - fewest) * spread).astype(int))]
