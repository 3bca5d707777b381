"""``champion.json``: what validation hands to the one pass over test."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twinfolio.assessment.choice import MARGIN, Kind
from twinfolio.assessment.compare import Comparison
from twinfolio.errors import DataError

FILE, PER_QUERY, PAIRS, EMBEDDINGS = "champion.json", "per_query.csv", "pairs.csv", "embeddings"
"""Names inside ``outputs/compare_distances``."""
FOLDER = "champion"
"""The champion's own files there, which ``load_system`` reads."""


@dataclass(frozen=True)
class Champion:
    """The choice made on validation.

    Attributes:
        system: The champion's name.
        kind: What it is.
        preferred_over: Candidates that are as good, and are not used.
        best: The candidate with the highest validation retrieval mAP.
        best_map: That mAP.
        distance: The best of the distances.
        tie: Whether the lead of that distance over ``runner_up`` may be chance.
        runner_up: The next distance; None where there is only one.
        val_map: The champion's validation retrieval mAP.
        val_map_unseen: The same over the queries that were not lent by training groups; None where all were.
        thresholds: System -> threshold.
        criterion: What the thresholds maximise.
        notes: What whoever uses the champion should know of it, a sentence each.
    """

    system: str
    kind: Kind
    preferred_over: list[str]
    best: str
    best_map: float
    distance: str
    tie: bool
    runner_up: str | None
    val_map: float
    val_map_unseen: float | None
    thresholds: dict[str, float]
    criterion: Literal["f1", "accuracy"]
    notes: list[str]

    @property
    def retrainable(self) -> bool:
        """Whether ``refit`` can train it once more on train and validation: a distance's model."""
        return self.kind == "distance"


def champion_json(comparison: Comparison, criterion: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """What ``champion.json`` holds.

    Args:
        comparison: The result.
        criterion: What the thresholds maximise.
        notes: See ``Champion``.
    """
    choice, lead = comparison.choice, comparison.lead
    unseen = comparison.without_within_group(comparison.champion)
    return {
        "system": comparison.champion,
        "kind": choice.champion.kind,
        "preferred_over": list(choice.preferred_over),
        "best": choice.best.name,
        "best_val_mAP": choice.best.mean_ap,
        "behind_best": None if choice.behind is None else choice.behind._asdict(),
        "margin": MARGIN,
        "distance": comparison.distance,
        "tie": comparison.tie,
        "runner_up": comparison.runner_up,
        "lead": None if lead is None else lead._asdict(),
        "val_mAP": choice.champion.mean_ap,
        "val_mAP_without_within_group": unseen if math.isfinite(unseen) else None,
        "thresholds": comparison.thresholds,
        "criterion": criterion,
        "data_hash": comparison.info.data_hash,
        "per_query": PER_QUERY,
        "notes": list(notes),
    }


def read_champion(folder: Path) -> Champion:
    """Read ``champion.json``.

    Args:
        folder: ``outputs/compare_distances``.

    Raises:
        DataError: It is missing or broken.
    """
    path = folder / FILE
    same = (
        "system",
        "kind",
        "preferred_over",
        "best",
        "distance",
        "tie",
        "runner_up",
        "thresholds",
        "criterion",
        "notes",
    )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Champion(
            **{name: raw[name] for name in (*same, "notes")},
            best_map=raw["best_val_mAP"], val_map=raw["val_mAP"], val_map_unseen=raw["val_mAP_without_within_group"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: cannot be read ({error})", "run the stage compare_distances") from None
