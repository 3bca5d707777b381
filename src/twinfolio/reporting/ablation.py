"""The ablation of methods without training: its table, figure, metrics and chapter."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from twinfolio.assessment.ablation import OWN, PLAIN, TOGETHER, Ablation, Row, cost_step
from twinfolio.reporting.comparison import finite
from twinfolio.reporting.plots import interval_panels, plot_intervals
from twinfolio.reporting.report import Chapter, brief, chance
from twinfolio.reporting.tables import write_table

TABLE, FIGURE = "neighbours.csv", "neighbours.png"
_PANELS = {"validation retrieval mAP": "mAP", "gain over plain": "gain", "first answer right": "P@1"}
_ENDS = ("", "_low", "_high")
_MEBIBYTE = 2**20


def write_ablation(ablation: Ablation, output_dir: Path, report_dir: Path) -> None:
    """Write the kept recipe for later stages, and the table and figure for people.

    Args:
        ablation: The result.
        output_dir: For ``neighbours.json`` and, where the kept recipe has arrays, ``neighbours.npz``.
        report_dir: For ``neighbours.csv`` and ``figures/neighbours.png``.
    """
    ablation.kept.recipe.save(output_dir)
    table = ablation_table(ablation)
    write_table(report_dir / TABLE, table)
    drawn = table.set_index("method").fillna({f"gain{end}": 0.0 for end in _ENDS})
    plot_intervals(report_dir / "figures" / FIGURE, interval_panels(drawn, _PANELS), highlight=ablation.kept.method)


def ablation_table(ablation: Ablation) -> pd.DataFrame:
    """A row a method, without times: those differ between two runs, and this table must not."""
    return pd.DataFrame([_row(row, ablation.kept) for row in ablation.rows])


def ablation_metrics(ablation: Ablation) -> dict[str, float]:
    """Keys ``val/neighbours_<method>/mAP``, ``P@1`` and ``gain``, each with its interval."""
    metrics: dict[str, float] = {}
    for row in ablation.rows:
        family = f"val/neighbours_{row.method}"
        metrics |= {f"{family}/{key}{end}": row.values[f"{key}{end}"] for key in ("mAP", "P@1") for end in _ENDS}
        if row.gain is not None:
            named = zip(_ENDS, row.gain, strict=False)
            metrics |= {f"{family}/gain{end}": value for end, value in named}
    return finite(metrics)


def ablation_chapter(ablation: Ablation, report_dir: Path) -> Chapter:
    """The chapter of the comparison's report; ``write_ablation`` must have drawn the figure."""
    shown = brief(ablation_table(ablation).drop(columns=["kept"]))
    # rounded to wide steps, or the page of every run would be another one
    shown.insert(list(shown.columns).index("within_budget"), "adds about ms", [_about(row) for row in ablation.rows])
    shown = shown[[*shown.columns.drop("setting"), "setting"]]
    embed, plain = (cost_step(ms) for ms in (ablation.rows[0].embed_ms, ablation.rows[0].rank_ms))
    return Chapter(
        "Better neighbours without training",
        paragraphs=[
            f"{ablation.n_queries} validation images against {ablation.n_gallery} training images, the query's own "
            "group left out as an answer and as evidence. A plain query takes about "
            f"{embed:g} ms to embed and {plain:g} ms to rank; the budget for what a method adds is "
            f"{ablation.latency_ms:g} ms. Of each method the setting with the best mAP of a small grid is shown, so "
            "its gain is a little flattered; test decides nothing here.",
            verdict(ablation),
        ],
        tables=[("Gain and cost of each method", shown)],
        figures=[("Each method with its intervals", report_dir / "figures" / FIGURE)],
    )


def verdict(ablation: Ablation) -> str:
    """What is kept, and why."""
    kept = ablation.kept
    if kept.method == OWN:
        return f"Kept: the system's own recipe, {kept.recipe.name} ({kept.recipe.setting}), with which it was set."
    if kept.gain is None:
        return "The plain ranking is kept: no method within the budget is better by more than chance."
    gain = kept.gain
    numbers = f"mAP {gain.difference:+.4f}, {gain.low:.4f} to {gain.high:.4f}, {chance(gain.p)}"
    text = f"Kept: {kept.recipe.name} ({kept.recipe.setting}; {numbers})."
    over = ablation.over_best
    if over is not None and kept.method != TOGETHER:
        text += (
            f" The better methods together are not kept: over the best alone they change mAP by {over.difference:+.4f}"
            f" ({over.low:.4f} to {over.high:.4f})."
        )
    return text


def _row(row: Row, kept: Row) -> dict[str, object]:
    """One line of the table."""
    nothing = float("nan")
    gain = row.gain or (nothing,) * 4
    line: dict[str, object] = {"method": row.method, "setting": row.recipe.setting}
    line |= {f"mAP{end}": row.values[f"mAP{end}"] for end in _ENDS}
    line |= {f"gain{end}": value for end, value in zip(_ENDS, gain, strict=False)}
    line |= {"p": gain[3]} | {f"P@1{end}": row.values[f"P@1{end}"] for end in _ENDS}
    line |= {"extra_mib": row.extra_bytes / _MEBIBYTE, "within_budget": row.within_budget, "kept": row is kept}
    return line


def _about(row: Row) -> str:
    """The cost of a method as a step; none for what the others are compared with."""
    if row.method in (PLAIN, OWN):
        return ""
    return f"{cost_step(row.added_ms):g}" if row.added_ms >= 1 else "below 1"
