"""The leak study: what a random split adds to every headline number, after training anew under each split."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twinfolio.errors import DataError
from twinfolio.evaluation.significance import unpaired_difference
from twinfolio.reporting.plots import plot_intervals
from twinfolio.reporting.report import Chapter, brief, headline, write_report
from twinfolio.reporting.tables import write_metrics, write_table

HEADLINES = {
    "retrieval mAP": "AP",
    "retrieval top-1": "P@1",
    "classification accuracy": "classified",
}
"""Headline -> column of ``per_query.csv``."""
DRAWN = ("retrieval mAP", "retrieval top-1", "classification accuracy", "classification macro F1")
"""Headlines of the figure."""
TABLED = {
    "retrieval mAP": "test/retrieval/mAP",
    "retrieval top-1": "test/retrieval/P@1",
    "retrieval mAP, own page in the archive": "test/leak_gap/mAP_included",
    "classification accuracy": "test/classification/accuracy",
    "classification macro F1": "test/classification/macro_f1",
    "verification accuracy": "test/verification/accuracy",
    "pair AP": "test/verification/pair_ap",
}
"""Headline -> key of ``metrics.json``."""


@dataclass(frozen=True)
class Side:
    """One protocol's pipeline.

    Attributes:
        metrics: Of ``evaluate``.
        split: Of ``split``.
        per_query: A row a test image.
    """

    metrics: dict[str, Any]
    split: dict[str, Any]
    per_query: pd.DataFrame


def read_side(folder: Path) -> Side:
    """Read what ``retrain`` kept.

    Raises:
        DataError: A file is missing.
    """
    reports = folder / "reports"
    try:
        files = (reports / stage / "metrics.json" for stage in ("evaluate", "split"))
        metrics, split = (json.loads(path.read_text(encoding="utf-8")) for path in files)
        return Side(metrics, split, pd.read_csv(reports / "evaluate" / "per_query.csv"))
    except OSError as error:
        raise DataError(f"{error.filename}: missing", "run the stage retrain") from None


def leak_study_table(blocks: Side, random: Side, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """A row a headline: the value under each split, and their difference where its queries are known.

    The test sets differ, so that the difference is of two independent means; each side resamples its own groups.

    Args:
        blocks: Groups never cross splits.
        random: Images are dealt at random.
        n: Resamples.
        seed: Of the resamples.
    """
    rows = []
    for name, key in TABLED.items():
        row: dict[str, object] = {"number": name}
        for title, side in (("by group", blocks), ("at random", random)):
            row |= {f"{title}{end}": side.metrics.get(f"{key}{end}", np.nan) for end in ("", "_low", "_high")}
        if name in HEADLINES:
            column = HEADLINES[name]
            a, b = random.per_query, blocks.per_query
            gap = unpaired_difference(a[column], a["group"], b[column], b["group"], n, seed)
            row |= {"gap": gap.difference, "gap_low": gap.low, "gap_high": gap.high}
        else:
            row |= {"gap": row["at random"] - row["by group"], "gap_low": np.nan, "gap_high": np.nan}  # type: ignore[operator]
        rows.append(row)
    return pd.DataFrame(rows)


def write_leak_study(blocks: Side, random: Side, report_dir: Path, *, n: int = 1000, seed: int = 0) -> None:
    """Write ``table.csv``, ``metrics.json``, a figure and ``report.html``.

    Args:
        blocks: Groups never cross splits.
        random: Images are dealt at random.
        report_dir: ``reports/leak_gap``.
        n: Resamples.
        seed: Of the resamples.
    """
    table = leak_study_table(blocks, random, n, seed)
    write_table(report_dir / "table.csv", table)
    metrics = {
        f"leak/{str(row['number']).replace(', ', ' ').replace(' ', '_')}/{end}": row[column]
        for row in table.to_dict("records")
        for end, column in (("by_group", "by group"), ("at_random", "at random"), ("gap", "gap"))
    }
    write_metrics(report_dir / "metrics.json", {key: value for key, value in metrics.items() if value == value})
    plot_intervals(report_dir / "figures" / "leak_gap.png", _panels(table))
    first = table.iloc[0]
    heads = [headline("mAP by group", first["by group"], first["by group_low"], first["by group_high"]),
             headline("mAP at random", first["at random"], first["at random_low"], first["at random_high"]),
             headline("gap", first["gap"], first["gap_low"], first["gap_high"])]  # fmt: skip
    text = (
        "The whole pipeline was run twice on the same images with the same parameters: once with groups (pages, "
        "folios) kept on one side of the split, once with images dealt at random, as most papers do. Test sets differ, "
        "so a gap's interval comes from resampling each side's own groups; a gap without an interval is a plain "
        "difference of two numbers whose own intervals stand beside it."
    )
    kept = ("images", "groups", "train", "val", "test", "unknown")
    counts = pd.DataFrame(
        [{"split": title, **{key: side.split.get(key, 0) for key in kept}}
         for title, side in (("by group", blocks), ("at random", random))]
    )  # fmt: skip
    chapter = Chapter("Every headline number under both splits", [text],
                      tables=[("Numbers", brief(table)), ("Splits", counts)],
                      figures=[("Values with their intervals", report_dir / "figures" / "leak_gap.png")])  # fmt: skip
    write_report(report_dir / "report.html", "Leak gap", "Trained anew under each split.", heads, [chapter])


def _panels(table: pd.DataFrame) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Both splits on one axis, a panel a headline that has an image or a class as its unit."""
    rows, splits = table.set_index("number").loc[list(DRAWN)], ("by group", "at random")
    return {
        str(number): {split: (row[split], row[f"{split}_low"], row[f"{split}_high"]) for split in splits}
        for number, row in rows.to_dict("index").items()
    }
