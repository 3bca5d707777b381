"""N-way K-shot trials of ``evaluate`` for people: the trials themselves, metrics, a table and its chapter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from twinfolio.assessment.few_shot import FewShot
from twinfolio.evaluation.trials import write_trials
from twinfolio.reporting.report import Chapter, brief
from twinfolio.reporting.tables import write_table


def few_shot_metrics(asked: Sequence[FewShot]) -> dict[str, float]:
    """Keys ``few_shot_<side>/accuracy``, with its interval's ends, ``ways`` and ``shots``; of sides with trials."""
    return {
        f"few_shot_{one.side}/{key}": value
        for one in asked
        if one.trials is not None
        for key, value in (
            ("accuracy", one.accuracy),
            ("accuracy_low", one.interval.low),
            ("accuracy_high", one.interval.high),
            ("ways", float(one.trials.ways)),
            ("shots", float(one.trials.shots)),
        )
    }


def few_shot_table(asked: Sequence[FewShot]) -> pd.DataFrame:
    """A row a side that trials could be drawn on."""
    rows = [
        {
            "classes": one.side,
            "ways": one.trials.ways,
            "shots": one.trials.shots,
            "trials": len(one.trials),
            "queries": len(set(one.trials.queries.tolist())),
            "chance": 1 / one.trials.ways,
            "accuracy": one.accuracy,
            "accuracy_low": one.interval.low,
            "accuracy_high": one.interval.high,
        }
        for one in asked
        if one.trials is not None
    ]
    return pd.DataFrame(rows, columns=["classes", *(list(rows[0])[1:] if rows else [])])


def few_shot_chapter(asked: Sequence[FewShot], report_dir: Path) -> Chapter:
    """Write ``few_shot.csv`` and ``trials/<side>.csv``, and say what they hold.

    Args:
        asked: The sides.
        report_dir: ``reports/evaluate``.
    """
    table = few_shot_table(asked)
    write_table(report_dir / "few_shot.csv", table)
    (report_dir / "trials").mkdir(exist_ok=True)
    for one in asked:
        if one.trials is not None:
            write_trials(one.trials, one.ids, report_dir / "trials" / f"{one.side}.csv")
    notes = [f"No trials on {one.side} classes: {one.reason}." for one in asked if one.trials is None]
    if len(asked) == 1:
        notes.append("No class was held out (split.unknown_classes: 0): classes new to the model are not measured.")
    text = (
        "A trial shows a query and N classes by K images each, none of the query's group: which class is it? New "
        "classes are those of split.unknown_classes, all of them, which no model has been trained on. Many trials ask "
        "about few images, so that intervals draw the queries' groups. The trials are kept in trials/."
    )
    return Chapter("N-way K-shot trials", [text], notes, [("Which of N classes is it?", brief(table))])
