"""The log of every scoring of a test split: settings are chosen on validation alone, and this file lets one check."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from pathlib import Path
from typing import Any

COLUMNS = ("data_hash", "params_hash", "commit")


def append_test_use(path: Path, data_hash: str, params_hash: str, commit: str) -> int:
    """Add a line and say how often this data's test split has now been scored.

    Args:
        path: ``reports/test_uses.csv``; made with a header where it does not exist.
        data_hash: The store's.
        params_hash: Of the whole params file.
        commit: The code's, or ``unknown``.

    Returns:
        Lines with this data hash, the new one included.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = ",".join((data_hash, params_hash, commit)) + "\n"
    new = not path.exists()
    # one short write in append mode: two evaluations at once lose no line
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), "w", encoding="utf-8") as file:
        file.write((",".join(COLUMNS) + "\n" if new else "") + line)
    return count_test_uses(path, data_hash)


def count_test_uses(path: Path, data_hash: str) -> int:
    """How often the test split of this data was scored; 0 where nothing was."""
    if not path.exists():
        return 0
    with path.open(encoding="utf-8", newline="") as file:
        return sum(row["data_hash"] == data_hash for row in csv.DictReader(file))


def params_hash(params: dict[str, Any]) -> str:
    """SHA-256 over all settings, whatever their order in the file."""
    return hashlib.sha256(json.dumps(params, sort_keys=True, default=str).encode()).hexdigest()
