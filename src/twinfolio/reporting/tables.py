"""Metrics, tables and JSON as files with the same bytes for the same numbers."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6
"""Digits after the point: beyond them numbers differ between machines that are both right."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; rename it to ``path`` when the block succeeds, else remove it.

    The temporary name keeps the suffix, which some writers read the format from.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any, digits: int | None = DIGITS) -> None:
    """Write a JSON file with sorted keys, two blanks of indent and floats of ``digits`` digits after the point.

    NumPy scalars become numbers. A number that is not finite becomes null: JSON has no word for it.

    Args:
        path: The file.
        value: What it holds.
        digits: None keeps floats as they are, for what is computed with again: a threshold rounded down lets in what
            it was to keep out.

    Raises:
        TypeError: A value has no JSON form.
    """
    text = json.dumps(_plain(value, digits), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_metrics(path: Path, metrics: Mapping[str, float | int | None]) -> None:
    """Write ``{"<split>/<family>/<metric>": value}`` as sorted, rounded JSON (see ``write_json``).

    Raises:
        TypeError: A value is not a number or None (MLflow and ``dvc metrics diff`` read this file).
    """
    for key, value in metrics.items():
        if value is not None and (isinstance(value, (str, bool)) or not hasattr(value, "__float__")):
            raise TypeError(f"metric {key} = {value!r} is not a number")
    write_json(path, dict(metrics))


def write_table(path: Path, table: pd.DataFrame, digits: int = DIGITS) -> None:
    """Write a CSV file without the index, rows in the order given, floats of ``digits`` digits after the point."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{digits}f", lineterminator="\n", encoding="utf-8")


def markdown_table(table: pd.DataFrame) -> str:
    """A table of texts in Markdown.

    Args:
        table: Its cells are written as they are.
    """
    rows = [list(map(str, table.columns)), ["---"] * table.shape[1], *([*map(str, row)] for row in table.to_numpy())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _plain(value: Any, digits: int | None) -> Any:
    """Rounded numbers, strings, lists and dicts out of what NumPy and tuples bring along."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, digits) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), digits)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        # adding 0.0 turns -0.0 into 0.0, which would be two spellings of one number
        return (value if digits is None else round(value, digits)) + 0.0
    return value
