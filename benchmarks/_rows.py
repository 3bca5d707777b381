"""Rows that a benchmark goes on from: a row a measurement in a committed file, found again by what made it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twinfolio.evaluation.significance import paired_difference

MEASURES = {"mAP": "AP", "P@1": "P@1"}
"""Measure -> its column in a table of queries."""

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """All rows of a JSON-lines file; none where there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def newest_rows(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The last row of each combination of the named values, in the order in which they first came."""
    newest = {tuple(row.get(name) for name in names): row for row in rows}
    return list(newest.values())


def find_row(rows: Sequence[Row], wanted: Mapping[str, Any]) -> Row | None:
    """The newest row with these values, or None."""
    return next((row for row in reversed(rows) if all(row.get(key) == value for key, value in wanted.items())), None)


def append_row(path: Path, row: Row) -> None:
    """Add a row; numbers keep five significant digits."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(short(row), ensure_ascii=False) + "\n")


def short(value: Any) -> Any:
    """The same value with floats of five significant digits; what is not finite becomes null."""
    if isinstance(value, Mapping):
        return {key: short(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [short(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.5g}") + 0.0 if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def paired_over_groups(ours: pd.DataFrame, others: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, list[float]]]:
    """Ours minus each other in mAP and P@1, with 95 % intervals over the queries' groups.

    Args:
        ours: ``query, group, AP, P@1``.
        others: Name -> the same columns of the same queries, in any order.

    Returns:
        Name -> measure -> difference and its ends.

    Raises:
        ValueError: Others were asked other queries.
    """
    differences = {}
    for name, other in others.items():
        same = other.set_index("query").reindex(ours["query"])
        if len(other) != len(ours) or not same.index.isin(other["query"]).all():
            raise ValueError(f"{name}: other queries")
        differences[name] = {
            measure: [*map(float, paired_difference(ours[column].to_numpy(), same[column].to_numpy(), ours["group"]))]
            for measure, column in MEASURES.items()
        }
    return differences


def number(value: float | None, signed: bool = False) -> str:
    """A number of three digits after the point, without the zero before it; ``-`` where there is none."""
    if value is None:
        return "-"
    text = f"{round(value, 3) + 0.0:{'+' if signed else ''}.3f}"
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def with_interval(values: Sequence[float | None], signed: bool = False) -> str:
    """``.912 (.880 to .940)``."""
    middle, low, high = (number(value, signed) for value in values)
    return middle if low == high == "-" else f"{middle} ({low} to {high})"
