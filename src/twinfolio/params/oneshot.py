"""Sections ``omniglot`` and ``ma_oneshot``: the one-shot study of handwritten characters."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from twinfolio.params.section import Count, Section

_TRAINING = re.compile(
    r"(small|sircnn|koch|vgg16|vgg19|resnet18|resnet50|efficientnet_b2|resnext101)-(ours|paper)-(\d+)"
)


def _training(name: str) -> str:
    if not _TRAINING.fullmatch(name):
        raise ValueError("TRUNK-RECIPE-SEED, such as small-ours-0 or sircnn-paper-2")
    return name


Training = Annotated[str, AfterValidator(_training)]
"""One model: its trunk, how it is trained, and its seed."""


class DrawnParams(Section):
    """Made-up alphabets, where ``omniglot.source`` is ``drawn``."""

    background: int = Field(default=14, ge=2)
    """Alphabets to learn from and to validate on."""
    evaluation: Count = 8
    """Alphabets of the evaluation side."""
    characters: int = Field(default=24, ge=20)
    """Characters of each, drawn by 20 drawers."""


class OmniglotParams(Section):
    """Handwritten characters as stores and frozen trials; only ``studies/ma_oneshot`` reads this."""

    source: str = Field(default="drawn", min_length=1)
    """``drawn`` (made up, runs anywhere), ``omniglot`` (downloaded by torchvision), or the path of a zip file or of a
    folder, counted from the repository."""
    runs: str | None = None
    """Path of the official runs (``all_runs.zip`` or its folder); made up where ``source`` is ``drawn``."""
    background: Literal["all", "small1", "small2"] = "all"
    """Alphabets of the background side: all 30, or one of the original repository's sets of five."""
    validation_alphabets: Count = 6
    """Background alphabets, drawn by ``seed``, that settings and stopping are chosen on."""
    poses: Literal[1, 4, 8] = 8
    """Our recipe learns every character as it is drawn, also (4) turned by 90, 180 and 270 degrees as other characters,
    also (8) all of these mirrored."""
    refit: bool = False
    """Our recipe learns the validation alphabets too and keeps its last weights: only once everything is chosen."""
    size: int = Field(default=32, ge=16, le=105)
    """Side of the images our recipe sees, in pixels; the papers' is 105."""
    trials: Count = 400
    """Trials an evaluation alphabet, besides the paper's 40 and the official runs."""
    ways: int = Field(default=20, ge=2)
    """Characters a trial."""
    seed: int = 0
    """Of what is drawn: alphabets, trials and, where they are made up, characters."""
    drawn: DrawnParams = DrawnParams()
    """Of ``source: drawn``."""


class MaOneshotParams(Section):
    """Which models ``studies/ma_oneshot`` trains; ``siamese`` holds our recipe."""

    trainings: Annotated[tuple[Training, ...], Field(strict=False, min_length=1)] = ("small-ours-0",)
    """``TRUNK-RECIPE-SEED``. Trunks: ``small`` (that of ``siamese``), ``sircnn``, ``koch``, and those of the paper's
    Table 5. Recipes: ``ours``, and the ``paper``'s on 105 x 105 pixels."""
    views: Count = 1
    """Looks at an image of the evaluation side by our recipe: one as it is, others moved as training moves images
    (``siamese.augmentation.warp``); their embeddings are averaged."""
    paper_iterations: Count = 100_000
    """The paper's cap; above 1,000 rounded up to whole thousands, since it validates every 1,000."""
    paper_patience: Count = 10_000
    """Iterations without a gain on validation after which the paper's recipe stops."""
