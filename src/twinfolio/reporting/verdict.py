"""The verdict on a search as a page: its best params beside those it started from, on validation and on test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from twinfolio.reporting.report import Chapter, chance, headline, write_report


def write_verdict(metrics: Mapping[str, float], best: Mapping[str, Any], seeds: int, report_dir: Path) -> None:
    """Write ``report.html``.

    Args:
        metrics: ``<split>/verdict/<name>``; see ``assessment.verdict.compare``.
        best: The search's params by dotted key.
        seeds: Models of either side.
        report_dir: Where it goes.
    """
    named = {"own": "the params as they are", "best": "the search's best", "difference": "best minus own, paired"}
    rows = []
    for split in ("val", "test"):
        for name, title in named.items():
            value, low, high = (metrics[f"{split}/verdict/{name}{end}"] for end in ("", "_low", "_high"))
            rows.append({"split": split, "system": title, "mean": value, "low": low, "high": high})
    shown = pd.DataFrame(rows)
    gap = [metrics[f"test/verdict/difference{end}"] for end in ("", "_low", "_high")]
    heads = [headline("difference on test", *gap)]
    text = (
        f"Either side: {seeds} models with seeds of their own, averaged image by image. Intervals and p over groups. "
        "Validation is where the best was chosen: its gain there is too good by the luck of the draw."
    )
    patch = pd.DataFrame({"key": list(best), "value": [str(value) for value in best.values()]})
    tables = [("Mean average precision (of a classifier: accuracy)", shown), ("The search's best params", patch)]
    chapter = Chapter("Verdict", [verdict(metrics), text], tables=tables)
    uses = f"Scorings of this test split so far: {metrics['test_uses']:.0f}."
    write_report(report_dir / "report.html", "Verdict on a search", uses, heads, [chapter])


def verdict(metrics: Mapping[str, float]) -> str:
    """One honest sentence on the difference on test."""
    gap, low, high, p = (metrics[f"test/verdict/{n}"] for n in ("difference", "difference_low", "difference_high", "p"))
    ends = f"{low:+.3f} to {high:+.3f}, " if low == low else ""  # a single group has no interval
    told = f"{gap:+.3f} ({ends}{chance(p)})"
    if not (low > 0 or high < 0):
        return f"On test the two cannot be told apart: {told}."
    return f"On test the search's best is {'better' if gap > 0 else 'worse'}: {told}."
