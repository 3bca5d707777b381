"""Probabilities, class sets and unknown classes for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from twinfolio.assessment.calibration import Calibration
from twinfolio.assessment.calibration_check import CalibrationCheck
from twinfolio.assessment.searched import Searched
from twinfolio.reporting.plots import plot_reliability
from twinfolio.reporting.report import Chapter, brief
from twinfolio.reporting.tables import write_table

_PAIR_SETS = {
    "ece": "all pairs",
    "ece_answers": "first ten answers",
    "ece_balanced": "verification pairs",
    "ece_classes": "class layer",
}


def curve(method: str) -> str:
    """A calibrator's form in words."""
    return {"logistic": "a logistic curve", "isotonic": "an isotonic curve"}[method]


def basis(calibration: Calibration) -> str:
    """What the threshold for unknown classes was set on."""
    if calibration.unknown_classes:
        return f"{calibration.unknown_classes} other classes held out of training"
    return "validation, each with its own (trained) class left out of the archive, which promises too much,"


def write_check(check: CalibrationCheck, report_dir: Path) -> None:
    """Write ``calibration.csv`` (a row a bin) and ``figures/reliability.png``."""
    frames = [
        pd.DataFrame({"pairs": name, "predicted": d.predicted, "observed": d.observed, "count": d.counts})
        for name, d in check.diagrams.items()
    ]
    write_table(report_dir / "calibration.csv", pd.concat(frames, ignore_index=True))
    shown = {
        title: (check.diagrams[name].predicted, check.diagrams[name].observed, check.diagrams[name].counts)
        for name, title in _PAIR_SETS.items()
        if name in check.diagrams
    }
    plot_reliability(report_dir / "figures" / "reliability.png", shown)


def check_chapter(searched: Searched, report_dir: Path) -> Chapter:
    """How probabilities, sets and the threshold hold on test.

    Args:
        searched: The champion on test as search uses it.
        report_dir: Holds ``figures/reliability.png``.
    """
    calibration, check, unknown = searched.setting.calibration, searched.check, searched.unknown
    rows = [
        {"of": title, "ECE": check.values[name], "ECE_low": check.values[f"{name}_low"],
         "ECE_high": check.values[f"{name}_high"]}
        for name, title in {"ece_before": "all pairs, logit as trained", **_PAIR_SETS}.items()
        if name in check.values
    ]  # fmt: skip
    values, conformal = check.values, calibration.conformal
    texts = [
        f"Scores become probabilities by {curve(calibration.pairs.method)} fitted on all admissible validation pairs "
        f"({calibration.prior:.4f} of them of one class), chosen by cross-fitted log loss. ECE: expected calibration "
        "error over 15 bins of equal mass; verification pairs are half of one class, and their probabilities are "
        "moved to that prior.",
        f"Class sets promise {conformal.coverage:.0%} (from {conformal.n} validation groups): measured coverage "
        f"{values['coverage']:.3f} ({values['coverage_low']:.3f} to {values['coverage_high']:.3f}), "
        f"{values['set_size']:.2f} classes a set.",
    ]
    notes = []
    if unknown is None:
        notes.append("No class was held out (split.unknown_classes: 0): detection of unknown classes is not measured.")
    else:
        texts.append(_unknown_text(calibration, unknown))
    return Chapter(
        "Calibration and unknown classes", texts, notes,
        tables=[("Expected calibration error", brief(pd.DataFrame(rows)))],
        figures=[("Predicted against observed share of pairs of one class",
                  report_dir / "figures" / "reliability.png")],
    )  # fmt: skip


def _unknown_text(calibration: Calibration, unknown: Mapping[str, float]) -> str:
    def shown(key: str) -> str:
        low, high = unknown[f"{key}_low"], unknown[f"{key}_high"]
        ends = "no interval: a single class" if low != low else f"{low:.3f} to {high:.3f}"
        return f"{unknown[key]:.3f} ({ends})"

    return (
        f"{unknown['n_unknown']:.0f} images of {unknown['n_unknown_classes']:.0f} classes were held out of training "
        f"altogether and set no threshold. Best score of a query before re-ranking, known against unknown: AUROC "
        f"{shown('auroc')}. At the threshold that lets {calibration.false_match_rate:.0%} of the images of "
        f"{basis(calibration)} pass: {shown('false_match_rate')} of the unknown pass for known, "
        f"{shown('known_accepted')} of the known are accepted."
    )
