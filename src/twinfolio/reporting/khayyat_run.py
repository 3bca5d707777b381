"""A finished run of ``studies/khayyat``, read from its reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twinfolio.reporting.tables import read_json

if TYPE_CHECKING:
    import pandas as pd

MODELS = {
    "classify": "VGG19 classifier",
    "train_siamese/l1": "VGG19-Siamese, L1",
    "train_siamese/l2": "VGG19-Siamese, L2",
    "train_siamese/cosine": "VGG19-Siamese, cosine",
    "train_scratch": "Siamese from scratch",
}
"""Report folder -> what is trained there."""
_TABLES = ("compare_distances/table", "compare_distances/tests", "evaluate/classification", "evaluate/per_class",
           "evaluate/verification", "evaluate/retrieval")  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What params.yaml says of the run.

    Attributes:
        protocol: ``random`` or ``blocks``.
        size: Side of the classifier's and the VGG19-Siamese's images, in pixels.
        trunk: timm name of their trunk.
        scratch_size: Height and width of the scratch net's images.
        scratch_distance: The scratch net's distance.
        pairs: ``all`` or ``episodes``.
        copies: Most augmented copies of a train image.
    """

    protocol: str
    size: int
    trunk: str
    scratch_size: tuple[int, int]
    scratch_distance: str
    pairs: str
    copies: int


@dataclass(frozen=True)
class StudyRun:
    """A finished run.

    Attributes:
        setting: What it was told.
        counts: ``reports/split/metrics.json``.
        training: Report folder -> its ``metrics.json``.
        tables: ``compare_distances/table`` and the like -> the table.
    """

    setting: Setting
    counts: Mapping[str, int]
    training: Mapping[str, Mapping[str, float]]
    tables: Mapping[str, pd.DataFrame]


def read_run(reports: Path, setting: Setting) -> StudyRun:
    """Read the metrics and tables of a run; no times, which are no results.

    Args:
        reports: The workspace's ``reports``.
        setting: What the run was told.
    """
    import pandas as pd

    return StudyRun(
        setting=setting,
        counts=read_json(reports / "split" / "metrics.json"),
        training={folder: read_json(reports / folder / "metrics.json") for folder in MODELS},
        tables={name: pd.read_csv(reports / f"{name}.csv", keep_default_na=True) for name in _TABLES},
    )
