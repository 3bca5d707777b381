"""What validation says of every setting of the classical systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from twinfolio.assessment.tuning import Tuned
from twinfolio.reporting.report import Chapter, write_report
from twinfolio.reporting.tables import write_metrics, write_table

COLUMNS = ("system", "most", "enlarge", "words", "power", "distance", "whiten", "weight", "val_mAP", "kept")
_WHOLE = ("most", "words", "whiten")


def write_tuning(tuned: Mapping[str, Tuned], report_dir: Path) -> None:
    """Write ``tuning.csv``, a row a setting, ``metrics.json`` and ``report.html``.

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
        metrics[f"val/classical_{name}/bytes_per_image"] = _bytes(one)
        metrics |= {f"{split}/classical_{name}/without_key_points": n for split, n in one.without.items()}
    write_metrics(report_dir / "metrics.json", metrics)
    _write_page(report_dir / "report.html", tuned, table)


def _bytes(tuned: Tuned) -> int:
    return 4 * int(tuned.best.vectors["val"].shape[1])


def _write_page(path: Path, tuned: Mapping[str, Tuned], table: pd.DataFrame) -> None:
    told = (
        "Fitted on train; of the settings tried the one with the best retrieval mAP of validation in train is kept. "
        "Bytes are those of an image's row; images without key points are counted."
    )
    kept = table[table["kept"] == 1].drop(columns="kept")
    kept["tried"] = [len(tuned[name].tried) for name in kept["system"]]
    kept["bytes"] = [_bytes(tuned[name]) for name in kept["system"]]
    for split in ("train", "val"):
        kept[f"{split} without key points"] = [tuned[name].without.get(split) for name in kept["system"]]
    tables = [("Kept", kept.astype(object).fillna("")), ("All that was tried", table.astype(object).fillna(""))]
    chapter = Chapter("Settings", [told], at_the_end(table), tables)
    write_report(path, "Classical systems", "Validation only; test was not opened.", [], [chapter])


def at_the_end(table: pd.DataFrame) -> list[str]:
    """A caution for each system that was best at an end of what was tried; ``table`` as ``tuning.csv``.

    The least of ``enlarge`` and ``whiten`` is no end: it means not at all.
    """
    notes = []
    for name, tried in table.groupby("system", sort=False):
        best = tried[tried["kept"] == 1].iloc[0]
        ends = []
        for key in (key for key in COLUMNS[1:-2] if key != "distance" and tried[key].nunique() > 1):
            least = () if key in ("enlarge", "whiten") else (tried[key].min(),)
            if best[key] in (tried[key].max(), *least):
                ends.append(f"{key} = {best[key]:g}")
        if ends:
            notes.append(f"{name} is best at an end of what was tried, {', '.join(ends)}: a longer list may help.")
    return notes


def read_tuning(path: Path) -> pd.DataFrame:
    """What ``write_tuning`` wrote: a row a setting, system first, then what was set, ``val_mAP`` and ``kept``."""
    return pd.read_csv(path, dtype=dict.fromkeys(_WHOLE, "Int64"))
