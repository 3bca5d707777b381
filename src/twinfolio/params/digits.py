"""Section ``digits``: the images of the study of small digits."""

from __future__ import annotations

from pydantic import Field

from twinfolio.params.section import Fraction, Section


class DigitsParams(Section):
    """Handwritten digits as a store; only ``studies/lu_grid`` reads this."""

    source: str = Field(default="sklearn", min_length=1)
    """``sklearn`` (bundled), ``mnist`` (downloaded by torchvision), or the path of an ``.npz`` file or of a folder with
    MNIST, counted from the repository."""
    val: Fraction = 1 / 6
    """Share of the training part, class by class, that is validation."""
    test: Fraction = 0.15
    """Share that is test, where the source has no test part of its own."""
    seed: int = 0
    """Of both draws."""
