"""Sections ``sample``, ``split`` and ``augment``: from images to the store."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from twinfolio.params.section import Count, Fraction, Section


class SampleParams(Section):
    """The synthetic manuscripts that ``make repro`` writes when there are no other images."""

    seed: int = 0
    """Seed of everything drawn: the same seed gives the same pixels."""
    manuscripts: int = Field(default=24, ge=2)
    """Number of manuscripts (classes)."""
    pages_min: Count = 20
    """Fewest pages of a manuscript."""
    pages_max: Count = 60
    """Most pages of a manuscript."""

    @model_validator(mode="after")
    def _pages_in_order(self) -> Self:
        if self.pages_min > self.pages_max:
            raise ValueError(f"pages_min = {self.pages_min} is above pages_max = {self.pages_max}")
        return self


class SplitParams(Section):
    """Which image belongs to train, validation or test."""

    seed: int = 0
    """Seed of the draw."""
    protocol: Literal["random", "blocks"] = "blocks"
    """``random``: stratified by class (the papers'); ``blocks``: a group never crosses splits."""
    fractions: Annotated[tuple[Fraction, Fraction, Fraction], Field(strict=False)] = (0.70, 0.15, 0.15)
    """Shares of train, validation and test."""
    group_pattern: str | None = None
    """Regular expression searched in the path below the class folder; its first group (or whole match) names the
    page, folio or quire. Null: every image is a group of its own."""
    groups_file: str | None = None
    """CSV with columns ``path,group`` instead of a pattern."""
    near_duplicate_bits: int = Field(default=4, ge=0, le=16)
    """Two images of one class whose 64-bit perceptual hashes differ in at most this many bits travel together."""
    unknown_classes: int | list[str] = 0
    """Classes held out of training altogether: how many (drawn by the seed among those of two groups or more), or the
    names of their folders. Every second one sets the threshold for images of unknown classes, the others test it. All
    other classes are split as if these were not there."""

    @field_validator("unknown_classes", mode="before")
    @classmethod
    def _number_or_names(cls, value: Any) -> Any:
        number = type(value) is int and value >= 0
        if not number and not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            raise ValueError(f"{value!r} is neither a number of classes nor a list of class folders (digits in quotes)")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"fractions = {list(self.fractions)} add up to {sum(self.fractions):g}, not 1")
        if self.group_pattern is not None and self.groups_file is not None:
            raise ValueError("group_pattern and groups_file are both set: choose one")
        try:
            re.compile(self.group_pattern or "")
        except re.error as error:
            raise ValueError(f"group_pattern = {self.group_pattern!r} is no regular expression: {error}") from None
        return self


class StoreParams(Section):
    """How an image becomes a row of the store."""

    size: int = Field(default=224, ge=16, le=1024)
    """Side of the square rows, in pixels."""
    fit: Literal["pad", "crop", "stretch"] = "pad"
    """What happens to an image that is not square."""
    channels: Literal[1, 3] = 3
    """3 for colour, 1 for grey."""
    tiles: Count = 6
    """A page whose longer side is over ``tile_above`` x ``size`` is cut into this many tiles; 1 shrinks it whole."""
    tile_above: float = Field(default=3.0, ge=1)
    """See ``tiles``."""


class AugmentParams(Section):
    """The store: decoded images and, for train, balanced augmented copies."""

    seed: int = 0
    """Seed of the copies."""
    store: StoreParams = StoreParams()
    """Size and fit of the rows."""
    policy: Literal["pages", "characters", "photos", "none"] = "pages"
    """Row of the policy table: what a copy may change."""
    per_class: Count | None = None
    """Train rows a class is filled up to with copies; null: the size of the largest class."""
    max_copies: int = Field(default=3, ge=0)
    """At most this many copies of one image."""
    workers: Count | None = None
    """Processes that decode and augment; null: one a core."""
