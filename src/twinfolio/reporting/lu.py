"""Lu's table beside ours: every cell's mean, SD and interval over seeds, and which cells really differ."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from twinfolio.evaluation.bootstrap import wilson_interval
from twinfolio.evaluation.significance import paired_difference, paired_permutation_test
from twinfolio.reporting.lu_paper import IMAGES, RATES
from twinfolio.reporting.tables import write_table

if TYPE_CHECKING:
    from optuna.study import Study

_MEASURES = ("accuracy", "nearest_accuracy", "centroid_accuracy", "pair_accuracy")


def write_cells(study: Study, trials: Path, output_dir: Path) -> None:
    """Write ``cells.csv``, a row a trial, and ``correct.npz``.

    The latter holds ``correct`` (trials, N), whether each test image was named rightly, and ``embeddings`` (N, 2) of
    the best trial on validation, where there are any.

    Args:
        study: Finished.
        trials: Folder of the trials' folders.
        output_dir: Where they go.
    """
    from optuna.trial import TrialState

    from twinfolio.search.study import METRICS, first_attempt, planned_trials

    done = [trial for trial in planned_trials(study) if trial.state == TrialState.COMPLETE]
    rows, correct, flat = [], [], {}
    for trial in done:
        cell = {key.rpartition(".")[2]: value for key, value in trial.params.items()}
        with np.load(
            trials / f"trial-{first_attempt(study, trial.number):04d}" / "measured.npz", allow_pickle=False
        ) as measured:
            correct.append(measured["correct"])
            if "embeddings" in measured and trial.number == study.best_trial.number:
                flat = {"embeddings": measured["embeddings"]}
        rows.append({"depth": 0, "kernels": 0, **cell, **trial.user_attrs[METRICS]})
    write_table(output_dir / "cells.csv", pd.DataFrame(rows))
    np.savez_compressed(output_dir / "correct.npz", correct=np.stack(correct), **flat)


def cell_table(cells: pd.DataFrame) -> pd.DataFrame:
    """A row a cell: ``depth, kernels, n_parameters, seeds`` and of each measure its mean, SD and t interval over seeds.

    Args:
        cells: ``cells.csv``.
    """
    rows = []
    for (depth, kernels), of in cells.groupby(["depth", "kernels"]):
        row = {"depth": depth, "kernels": kernels, "n_parameters": int(of["n_parameters"].iloc[0]), "seeds": len(of)}
        for split in ("val", "test"):
            for measure in _MEASURES:
                name = f"{split}/digits/{measure}"
                if name in of:
                    row |= {name: of[name].mean(), f"{name}_sd": of[name].std(ddof=1)}
                    row |= dict(zip((f"{name}_low", f"{name}_high"), t_interval(of[name].to_numpy()), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def t_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of a few seeds; NaN for a single one."""
    from scipy.stats import t

    if len(values) < 2:
        return float("nan"), float("nan")
    half = t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def differences(cells: pd.DataFrame, correct: np.ndarray) -> pd.DataFrame:
    """Every pair of cells: paired over test images, and over seeds; p by permutation, Holm's correction over all pairs.

    Args:
        cells: ``cells.csv``.
        correct: (trials, N) bool, in the order of its rows.

    Returns:
        ``a, b`` (as ``depth x kernels``), ``difference`` of the rates with its interval over images, ``p`` over images,
        ``p_holm``, and ``p_seeds`` of Student's paired test over seeds.
    """
    from scipy.stats import ttest_rel

    names = [f"{depth} x {kernels}" for depth, kernels in zip(cells["depth"], cells["kernels"], strict=True)]
    by_cell = {name: correct[[other == name for other in names]].astype(np.float64) for name in dict.fromkeys(names)}
    seeds_of = {name: cells["seed"].to_numpy()[[other == name for other in names]] for name in by_cell}
    rows = []
    for (a, of_a), (b, of_b) in combinations(by_cell.items(), 2):
        x, y, groups = of_a.mean(0), of_b.mean(0), np.arange(correct.shape[1])
        difference, low, high = paired_difference(x, y, groups)
        moved = x != y  # images that both name alike decide nothing
        p = paired_permutation_test(x[moved], y[moved], groups[moved]) if moved.any() else 1.0
        both = np.intersect1d(seeds_of[a], seeds_of[b])
        by_seed = [pd.Series(of.mean(1), seeds_of[name])[both] for name, of in ((a, of_a), (b, of_b))]
        seeds = ttest_rel(*by_seed).pvalue if len(both) > 1 else np.nan
        rows.append({"a": a, "b": b, "difference": difference, "difference_low": low, "difference_high": high, "p": p,
                     "p_seeds": seeds})  # fmt: skip
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"].to_numpy())) if rows else table


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's (1979) adjusted p values, in the order given."""
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out


def beside_paper(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The paper's rates beside ours, a row a cell, in percent, as text.

    Args:
        table: See ``cell_table``.
        measure: Column of a rate.
    """
    rows = []
    for row in table.to_dict("records"):
        rate = RATES.get((row["depth"], row["kernels"]))
        low, high = wilson_interval(round(rate / 100 * IMAGES), IMAGES) if rate else (np.nan, np.nan)
        values = [100 * row[f"{measure}{end}"] for end in ("", "_sd", "_low", "_high")]
        rows.append(
            {
                "depth": row["depth"] or "none",
                "kernels": row["kernels"] or "none",
                "parameters": f"{row['n_parameters']:,}",
                "paper (Wilson, of 2,500)": f"{rate:.2f} ({100 * low:.2f} to {100 * high:.2f})" if rate else "",
                "ours": f"{values[0]:.2f}",
                "seeds": row["seeds"],
                "SD": f"{values[1]:.2f}" if row["seeds"] > 1 else "",
                "interval over seeds": f"{values[2]:.2f} to {min(values[3], 100):.2f}" if row["seeds"] > 1 else "",
            }
        )
    return pd.DataFrame(rows)
