"""How long each model was trained, what ended it and what was kept, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from twinfolio.reporting.report import Chapter
from twinfolio.training.rounds import PERFECT

_MONITORS = ("val/retrieval/mAP", "val/oneshot/accuracy", "val/classification/macro_f1")

Facts = Mapping[str, Any]
"""A training stage's ``metrics.json``."""


def training_table(trainings: Mapping[str, Facts]) -> pd.DataFrame:
    """A row a training: rounds (or epochs) and steps, validation at the start and of what is kept, and what ended it.

    Args:
        trainings: Name -> its metrics.
    """
    return pd.DataFrame([{"training": name, **_row(facts)} for name, facts in trainings.items()])


def training_chapter(trainings: Mapping[str, Facts]) -> Chapter:
    """The table as a chapter; of what was kept between start and end in a sentence."""
    text = (
        "Rounds are the steps from one validation to the next. 'kept' is the share of the way from the weights "
        "training began with to those it ended with that validated best: 0 is the start, 1 the end."
    )
    notes = [
        f"{name}: training did not improve validation, the weights it began with are kept."
        for name, facts in trainings.items()
        if facts.get("kept_share") == 0
    ]
    return Chapter("How the models were trained", [text], notes, tables=[("Training", training_table(trainings))])


def ending(facts: Facts) -> str:
    """Reason for the end of a training, from its metrics."""
    if "kept_share" not in facts:
        return "its number of epochs, or no gain on validation"
    if facts["capped"]:
        return "train.minutes"
    return "validation without a fault" if facts["val_end"] > PERFECT else "validation stopped improving"


def _row(facts: Facts) -> dict[str, object]:
    monitor = next((name for name in _MONITORS if name in facts), None)
    return {
        "rounds": int(facts["epochs_run"]),
        "steps": int(facts["steps"]),
        "best round": int(facts["best_epoch"]),
        "measure": "" if monitor is None else monitor.removeprefix("val/"),
        "at the start": facts.get("val_start", float("nan")),
        "kept model": float("nan") if monitor is None else facts[monitor],
        "kept": facts.get("kept_share", float("nan")),
        "ended by": ending(facts),
    }
