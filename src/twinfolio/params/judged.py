"""Sections ``judged`` and ``jimenez_szabo``: images judged against each other, and the study that learns judgments."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from twinfolio.params.section import Count, Fraction, Section

_TRAINING = re.compile(r"(orb[1-9]\d*|conv)-(sim|fov)-(\d+)")


def _training(name: str) -> str:
    if not _TRAINING.fullmatch(name):
        raise ValueError("TWIN-TARGET-SEED, such as orb10-sim-0 or conv-fov-1")
    return name


Training = Annotated[str, AfterValidator(_training)]
"""One twin: what it sees, what it learns, and its seed."""


class ViewsParams(Section):
    """Windows on made-up streets, where ``judged.source`` is ``drawn``."""

    streets: Count = 100
    """Streets; each is a place."""
    queries: Count = 4
    """Windows on each that are asked about."""
    maps: Count = 8
    """Windows on each that answer."""
    side: int = Field(default=96, ge=32, le=144)
    """Of a window, in pixels."""
    shown: Fraction = 0.25
    """Least share of the view in common that counts as similar."""


class JudgedParams(Section):
    """A judged set as arrays, split by query; only ``studies/jimenez_szabo`` reads this."""

    source: str = Field(default="drawn", min_length=1)
    """``drawn`` (made up, runs anywhere), or the path of a folder, counted from the repository: ``query/``, ``map/``
    and ``relevance.*``, or places seen twice, ``query/`` and ``reference/`` with the same names."""
    frames: int | None = Field(default=None, ge=1)
    """Of places: references so many frames away are right too, by a falling grade; null: only that of the same name."""
    size: Annotated[tuple[Count, Count], Field(strict=False)] | None = None
    """Height and width of all images in pixels; null: those of the first one."""
    split: Literal["places", "queries"] = "places"
    """Whole places go to one split (streets; tiles of a walk; queries that share an answer), or, as far as maps allow,
    each query by itself."""
    tile: Count = 10
    """Frames in a row that are one place, where there are ``frames``."""
    fractions: Annotated[tuple[float, float, float], Field(strict=False)] = (0.8, 0.1, 0.1)
    """Shares of train, validation and test."""
    key_points: Count = 50
    """Key points an image that are kept for the twins."""
    enlarge: float = Field(default=1.0, ge=1)
    """Factor by which images are enlarged before key points are looked for, here and by every other system."""
    seed: int = 0
    """Of streets, split and pairs."""
    drawn: ViewsParams = ViewsParams()
    """Of ``source: drawn``."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise ValueError(f"fractions = {list(self.fractions)}: must be above 0 and add up to 1")
        return self


class JimenezSzaboParams(Section):
    """Which twins ``studies/jimenez_szabo`` trains.

    ``siamese`` holds the convolutional one and how it is trained, ``classical`` what the twins are held against.
    """

    trainings: Annotated[tuple[Training, ...], Field(strict=False, min_length=1)] = ("orb10-sim-0",)
    """``TWIN-TARGET-SEED``. Twins: ``orbN`` sees the bits of the first N key points, as in the paper; ``conv`` sees
    images. Targets: ``sim`` or ``fov``."""
    batch_size: int = Field(default=32, ge=2)
    """Pairs a step and device."""
    epochs: Count = 30
    """Most epochs of an ``orb`` twin."""
    patience: Count = 5
    """Epochs without a lower validation loss after which an ``orb`` twin stops; the paper names none."""
    bootstrap: Count = 1000
    """Resamples of places."""
