"""What validation says of every setting of the classical systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from twinfolio.assessment.tuning import Tuned
from twinfolio.reporting.tables import write_metrics, write_table

COLUMNS = ("system", "most", "enlarge", "words", "power", "distance", "whiten", "weight", "val_mAP", "kept")
_WHOLE = ("most", "words", "whiten")


def write_tuning(tuned: Mapping[str, Tuned], report_dir: Path) -> None:
    """Write ``tuning.csv``, a row a setting, and ``metrics.json``.

    Args:
        tuned: System -> what was tried.
        report_dir: The stage's.
    """
    rows = [
        {"system": name, **setting.facts, "val_mAP": value, "kept": int(setting == one.best.setting)}
        for name, one in tuned.items()
        for setting, value in one.tried
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(_WHOLE, "Int64"))
    write_table(report_dir / "tuning.csv", table)
    metrics: dict[str, float | None] = {}
    for name, one in tuned.items():
        metrics[f"val/classical_{name}/mAP"] = one.best.val_map
        metrics[f"val/classical_{name}/bytes_per_image"] = 4 * one.best.vectors["val"].shape[1]
        metrics |= {f"{split}/classical_{name}/without_key_points": n for split, n in one.without.items()}
    write_metrics(report_dir / "metrics.json", metrics)


def read_tuning(path: Path) -> pd.DataFrame:
    """What ``write_tuning`` wrote: a row a setting, system first, then what was set, ``val_mAP`` and ``kept``."""
    return pd.read_csv(path, dtype=dict.fromkeys(_WHOLE, "Int64"))
