"""The leak gap for people: one table and one paragraph, the same in every report."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from twinfolio.assessment.leak import MEASURES, LeakGap
from twinfolio.reporting.report import Chapter, brief

_ENDS = ("", "_low", "_high")


def leak_table(leaks: Mapping[str, LeakGap]) -> pd.DataFrame:
    """A row a system: each measure with the query's own group in the archive, without it, and the paired gap."""
    rows = []
    for name, leak in leaks.items():
        row: dict[str, object] = {"system": name, "queries": leak.queries, "exposed": leak.exposed}
        for measure in MEASURES:
            row |= {f"{measure}_included{end}": leak.included[f"{measure}{end}"] for end in _ENDS}
            row |= {f"{measure}_excluded{end}": leak.excluded[f"{measure}{end}"] for end in _ENDS}
            gap = leak.gap[measure]
            row |= {f"{measure}_gap": gap.difference, f"{measure}_gap_low": gap.low, f"{measure}_gap_high": gap.high}
        rows.append(row)
    return pd.DataFrame(rows)


def leak_metrics(leak: LeakGap) -> dict[str, float]:
    """Keys ``leak_gap/<measure>_<included|excluded|gap>`` with ``_low`` and ``_high``, and ``leak_gap/exposed``."""
    row = leak_table({"": leak}).drop(columns=["system", "queries"]).iloc[0]
    return {f"leak_gap/{key}": float(value) for key, value in row.items()}


def leak_chapter(leaks: Mapping[str, LeakGap], champion: str, *, has_groups: bool, archive: str) -> Chapter:
    """What finding the own page again is worth.

    Args:
        leaks: System -> its gap.
        champion: Named in the text.
        has_groups: Whether the data name their pages.
        archive: What is searched, in words.
    """
    leak = leaks[champion]
    gap = leak.gap["mAP"]
    text = (
        f"Archive: {archive}. Included: only the query itself is left out, so that other images of its page, and its "
        f"duplicates, may be found; excluded: neither may. For {leak.exposed} of {leak.queries} queries the archive "
        f"holds such an image. {champion}: retrieval mAP {leak.included['mAP']:.3f} included, "
        f"{leak.excluded['mAP']:.3f} excluded, gap {gap.difference:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})."
    )
    notes = [] if has_groups else [
        "No groups were given (split.group_pattern, split.groups_file): which images stem from one page is not known, "
        "and clusters of near-duplicates stand in for pages. The true gap may be larger."
    ]  # fmt: skip
    return Chapter(
        "Leak gap: the own page in the archive", [text], notes, tables=[("Leak gap", brief(leak_table(leaks)))]
    )
