"""``champion.json``: what validation hands to the one pass over test."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twinfolio.assessment.compare import Comparison
from twinfolio.errors import DataError

FILE, PER_QUERY, PAIRS, EMBEDDINGS = "champion.json", "per_query.csv", "pairs.csv", "embeddings"
"""Names inside ``outputs/compare_distances``."""


@dataclass(frozen=True)
class Champion:
    """The choice made on validation.

    Attributes:
        distance: The champion.
        tie: Whether its lead over ``runner_up`` may be chance.
        runner_up: The next distance; None where there is only one.
        val_map: Its validation retrieval mAP.
        val_map_unseen: The same over the queries that were not lent by training groups; None where all were.
        thresholds: System -> threshold.
        criterion: What the thresholds maximise.
    """

    distance: str
    tie: bool
    runner_up: str | None
    val_map: float
    val_map_unseen: float | None
    thresholds: dict[str, float]
    criterion: Literal["f1", "accuracy"]


def champion_json(comparison: Comparison, criterion: str) -> dict[str, Any]:
    """What ``champion.json`` holds."""
    lead, unseen = comparison.lead, comparison.without_within_group(comparison.champion)
    return {
        "distance": comparison.champion,
        "tie": comparison.tie,
        "runner_up": comparison.runner_up,
        "lead": None if lead is None else lead._asdict(),
        "val_mAP": comparison.judged[comparison.champion].retrieval_values["mAP"],
        "val_mAP_without_within_group": unseen if math.isfinite(unseen) else None,
        "thresholds": comparison.thresholds,
        "criterion": criterion,
        "data_hash": comparison.info.data_hash,
        "per_query": PER_QUERY,
    }


def read_champion(folder: Path) -> Champion:
    """Read ``champion.json``.

    Args:
        folder: ``outputs/compare_distances``.

    Raises:
        DataError: It is missing or broken.
    """
    path = folder / FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Champion(
            distance=raw["distance"], tie=raw["tie"], runner_up=raw["runner_up"], val_map=raw["val_mAP"],
            val_map_unseen=raw["val_mAP_without_within_group"],
            thresholds=raw["thresholds"], criterion=raw["criterion"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: cannot be read ({error})", "run the stage compare_distances") from None
