"""ROC, PR and cumulative match curves of several systems: one CSV, and what the figures draw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from twinfolio.evaluation.curves import pr_curve, roc_curve

POINTS = 200
"""Points kept of a curve."""

Curve = tuple[np.ndarray, np.ndarray]


def pair_curves(scores: Mapping[str, np.ndarray], labels: np.ndarray) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Curves of every system on the same pairs.

    Args:
        scores: System -> (P,) scores.
        labels: (P,) bool.

    Returns:
        System -> (false, true positive rates), and system -> (recalls, precisions).
    """
    roc, pr = {}, {}
    for name, values in scores.items():
        receiver, precision = roc_curve(values, labels), pr_curve(values, labels)
        roc[name] = (receiver.false_positive_rate, receiver.true_positive_rate)
        pr[name] = (precision.recall, precision.precision)
    return roc, pr


def curve_table(curves: Mapping[str, Mapping[str, Curve]]) -> pd.DataFrame:
    """Kind of curve -> system -> (x, y) as rows ``curve, system, x, y``, at most 200 a curve."""
    frames = []
    for kind, systems in curves.items():
        for name, (x, y) in systems.items():
            kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).round().astype(int))
            frames.append(pd.DataFrame({"curve": kind, "system": name, "x": x[kept], "y": y[kept]}))
    return pd.concat(frames, ignore_index=True)
