"""Everything ``compare_distances`` writes: tables, figures, metrics, the champion and its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.assessment.advice import notes_of, warn
from twinfolio.assessment.champion import FILE, FOLDER, PAIRS, PER_QUERY, champion_json
from twinfolio.assessment.choice import MARGIN
from twinfolio.assessment.compare import Comparison
from twinfolio.assessment.judgement import Contrast, Judgement
from twinfolio.assessment.systems import FROZEN_TRUNK
from twinfolio.reporting.curves import curve_table, pair_curves
from twinfolio.reporting.leak import leak_chapter, leak_metrics, leak_table
from twinfolio.reporting.plots import interval_panels, plot_intervals, plot_roc_and_pr
from twinfolio.reporting.report import Chapter, brief, chance, headline, write_report
from twinfolio.reporting.tables import write_json, write_metrics, write_table
from twinfolio.reporting.training import Facts, training_chapter, training_table

_PANELS = {"retrieval mAP": "mAP", "pair AP": "pair_ap", "verification accuracy": "accuracy", "verification F1": "f1"}


def write_comparison(
    comparison: Comparison, criterion: str, trainings: Mapping[str, Facts], output_dir: Path, report_dir: Path
) -> None:
    """Write all files of the stage.

    Args:
        comparison: The result.
        criterion: What the thresholds maximise.
        trainings: Training -> its metrics.
        output_dir: For what later stages read: ``champion.json``, ``pairs.csv``, ``per_query.csv``, and the champion's
            own files.
        report_dir: For what people read.
    """
    write_table(output_dir / PAIRS, comparison.pairs)
    write_table(output_dir / PER_QUERY, comparison.per_query())
    write_table(report_dir / "table.csv", comparison.table())
    systems = comparison.table(list(comparison.judged)).rename(columns={"distance": "system"})
    write_table(report_dir / "systems.csv", systems)
    write_table(report_dir / "tests.csv", comparison.tests)
    write_table(report_dir / PER_QUERY, _per_query_table(comparison))
    write_table(report_dir / "leak_gap.csv", leak_table(comparison.leaks))
    write_metrics(report_dir / "metrics.json", comparison_metrics(comparison))
    write_table(report_dir / "candidates.csv", candidates_table(comparison))
    _write_figures(comparison, report_dir)
    notes = notes_of(comparison)
    warn(notes)
    _write_report(comparison, criterion, trainings, notes, report_dir)
    write_table(report_dir / "training.csv", training_table(trainings))
    if comparison.winner.save is not None:
        comparison.winner.save(output_dir / FOLDER)
    # the champion goes last: without it the stage has not run
    write_json(output_dir / FILE, champion_json(comparison, criterion, notes))


def comparison_metrics(comparison: Comparison) -> dict[str, float]:
    """Families ``retrieval`` and ``verification`` of the champion, and ``retrieval_<system>/mAP`` of every system."""
    best = comparison.judged[comparison.champion]
    metrics = {f"val/retrieval/{key}": value for key, value in worth_a_key(best.retrieval_values).items()}
    metrics |= {f"val/verification/{key}": value for key, value in worth_a_key(best.verification_values).items()}
    metrics["val/retrieval/mAP_without_within_group"] = comparison.without_within_group(comparison.champion)
    metrics["val/retrieval/n_within_group"] = float(comparison.queries.within_group.sum())
    metrics["val/retrieval/champion_tie"] = float(bool(comparison.choice.preferred_over))
    metrics["val/retrieval/distances_tie"] = float(comparison.tie)
    metrics |= {f"val/{key}": value for key, value in leak_metrics(comparison.leaks[comparison.champion]).items()}
    for name, judgement in comparison.judged.items():
        for end in ("", "_low", "_high"):
            metrics[f"val/retrieval_{metric_name(name)}/mAP{end}"] = judgement.retrieval_values[f"mAP{end}"]
    return finite(metrics)


def per_query_columns(judged: Mapping[str, Judgement]) -> dict[str, np.ndarray]:
    """``AP_<system>`` and ``P@1_<system>`` (Q,) of each system: what paired intervals between any two of them need."""
    precision = {f"AP_{name}": one.average_precision for name, one in judged.items()}
    return precision | {f"P@1_{name}": one.retrieval.metrics.per_query["P@1"] for name, one in judged.items()}


def metric_name(system: str) -> str:
    """A system's name as part of a metric's: MLflow takes no ``+``."""
    return system.replace("+", "_")


def candidates_table(comparison: Comparison) -> pd.DataFrame:
    """A row a candidate, the highest mAP first: what it is, its mAP, and the champion's paired lead over it."""
    rows = []
    for one in sorted(comparison.candidates, key=lambda one: -one.mean_ap):
        values = comparison.judged[one.name].retrieval_values
        row: dict[str, object] = {"system": one.name, "kind": one.kind}
        row |= {f"mAP{end}": values[f"mAP{end}"] for end in ("", "_low", "_high")}
        if one.name != comparison.champion:
            lead = comparison.versus(comparison.champion, one.name)
            row |= {"champion_lead": lead.difference, "champion_lead_low": lead.low, "champion_lead_high": lead.high}
            row["p"] = lead.p
        rows.append(row)
    columns = ["system", "kind", "mAP", "mAP_low", "mAP_high"]
    return pd.DataFrame(rows, columns=[*columns, "champion_lead", "champion_lead_low", "champion_lead_high", "p"])


def worth_a_key(values: dict[str, float]) -> dict[str, float]:
    """Without what only tables need: class means of hits and recalls, and the interval of a constant."""
    left_out = ("macro_R@", "macro_cmc@", "macro_P@5", "macro_P@10", "cmc@1_", "prevalence_", "top5")
    return {key: value for key, value in values.items() if not key.startswith(left_out) and key != "cmc@1"}


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """Without the values that do not exist (an interval over one group)."""
    return {key: value for key, value in metrics.items() if math.isfinite(value)}


def _per_query_table(comparison: Comparison) -> pd.DataFrame:
    """A row a validation image, in the columns that ``evaluate`` writes of a test image; ``AP`` is the champion's."""
    items, best = comparison.queries.items, comparison.judged[comparison.champion]
    head = {"query": items.ids, "label": np.array(comparison.info.classes, dtype=object)[items.labels]}
    own = {"AP": best.average_precision, "P@1": best.retrieval.metrics.per_query["P@1"]}
    return pd.DataFrame(head | {"group": items.groups} | own | per_query_columns(comparison.judged))


def _write_figures(comparison: Comparison, report_dir: Path) -> None:
    panels = interval_panels(comparison.table(list(comparison.judged)).set_index("distance"), _PANELS)
    plot_intervals(report_dir / "figures" / "systems.png", panels, comparison.champion)
    labels = comparison.pairs["label"].to_numpy().astype(bool)
    roc, pr = pair_curves({name: judged.pair_scores for name, judged in comparison.judged.items()}, labels)
    write_table(report_dir / "curves.csv", curve_table({"roc": roc, "pr": pr}))
    plot_roc_and_pr(report_dir / "figures" / "roc_pr.png", roc, pr, float(labels.mean()))


def _write_report(
    comparison: Comparison, criterion: str, trainings: Mapping[str, Facts], cautions: list[str], report_dir: Path
) -> None:
    best = comparison.judged[comparison.champion]
    retrieved, verified = best.retrieval_values, best.verification_values
    heads = [
        headline("retrieval mAP", retrieved["mAP"], retrieved["mAP_low"], retrieved["mAP_high"]),
        headline("pair AP", verified["pair_ap"], verified["pair_ap_low"], verified["pair_ap_high"]),
        headline("verification accuracy", verified["accuracy"], verified["accuracy_low"], verified["accuracy_high"]),
    ]
    chapters = [
        Chapter(
            "The champion",
            [champion_verdict(comparison), _rule_text(comparison)],
            notes=within_group_notes(int(comparison.queries.within_group.sum()), len(comparison.queries),
                                     retrieved["mAP"], comparison.without_within_group(comparison.champion)),
            tables=[("Candidates", brief(candidates_table(comparison)))],
        ),
        Chapter(
            "Distances",
            [_verdict(comparison), _pair_text(comparison, criterion)],
            tables=[("Per distance", brief(comparison.table())), ("Paired tests", brief(comparison.tests))],
            figures=[("Values with their intervals", report_dir / "figures" / "systems.png")],
        ),
        leak_chapter(comparison.leaks, comparison.champion, has_groups=comparison.info.has_groups,
                     archive="train and validation"),
        training_chapter(trainings),
        Chapter("Verification curves", figures=[("ROC and precision-recall", report_dir / "figures" / "roc_pr.png")]),
    ]  # fmt: skip
    title = f"Comparison of systems: {comparison.champion}"
    subtitle = "Validation only; test was not opened."
    write_report(report_dir / "report.html", title, subtitle, heads, chapters, cautions)


def champion_verdict(comparison: Comparison) -> str:
    """Which system won, by how much over the untrained trunk and over the best other single system."""
    champion = comparison.champion
    singles = [one for one in comparison.candidates if one.members == 1 and one.name != champion]
    said = [f"{champion} is the champion, with a validation retrieval mAP of {comparison.choice.champion.mean_ap:.4f}."]
    if champion != FROZEN_TRUNK and FROZEN_TRUNK in comparison.judged:
        said.append(_compared(comparison, "the untrained trunk", FROZEN_TRUNK))
    if singles:
        other = max(singles, key=lambda one: one.mean_ap)
        if other.name != FROZEN_TRUNK:
            said.append(_compared(comparison, f"the best other single system, {other.name}", other.name))
    return " ".join(said)


def _compared(comparison: Comparison, title: str, name: str) -> str:
    """The champion against another system, in a sentence."""
    lead = comparison.versus(comparison.champion, name)
    if lead.tie:
        return f"With {title}, it is a tie ({_numbers(lead)})."
    return f"It is {'ahead of' if lead.difference > 0 else 'behind'} {title} ({_numbers(lead)})."


def _rule_text(comparison: Comparison) -> str:
    """How the champion was chosen, and what it was preferred over."""
    choice = comparison.choice
    text = (
        f"Of the candidates within {MARGIN} of the best mAP, and not below it by more than chance, the simplest is "
        "used: a distance before the classifier, then the untrained trunk, a classical system, systems joined."
    )
    if choice.preferred_over:
        text += f" As good, and not used: {', '.join(choice.preferred_over)}."
    if choice.behind is not None:
        text += f" {choice.best.name} has the highest mAP, {choice.best.mean_ap:.4f} ({_numbers(choice.behind)})."
    return text


def _numbers(one: Contrast) -> str:
    return f"difference {one.difference:.4f}, {one.low:.4f} to {one.high:.4f}, {chance(one.p)}"


def _verdict(comparison: Comparison) -> str:
    """Which distance won, or that it is a tie."""
    lead = comparison.lead
    if lead is None:
        return f"{comparison.distance} is the only distance."
    numbers = _numbers(lead)
    if comparison.tie:
        return (
            f"A tie: {comparison.distance} has the highest validation retrieval mAP of the distances, but its lead "
            f"over {comparison.runner_up} may be chance ({numbers})."
        )
    return f"{comparison.distance} leads {comparison.runner_up} in validation retrieval mAP ({numbers})."


def _pair_text(comparison: Comparison, criterion: str) -> str:
    """How the pairs were made and decided."""
    counts = comparison.pair_counts
    return (
        f"Verification: {counts.positives} positive and {counts.negatives} negative pairs of {counts.queries} "
        "validation images with training images, never of one group or duplicate cluster "
        f"({counts.queries_without_positive} images have no positive). "
        f"Thresholds maximise {criterion} and are cross-fitted over the queries' groups."
    )


def within_group_notes(lent: int, n: int, value: float, without: float | None) -> list[str]:
    """The caution about validation images from training groups; nothing where there are none."""
    if not lent:
        return []
    rest = f"; without them {without:.3f}" if without is not None and math.isfinite(without) else ""
    return [
        f"{lent} of {n} validation images were lent by training groups (within_group): their page was partly trained "
        f"on, so validation flatters. Retrieval mAP with them {value:.3f}{rest}."
    ]
