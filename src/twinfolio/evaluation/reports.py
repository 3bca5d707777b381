"""Whole families of metrics as plain dicts, each value with its interval, ready for `<split>/<family>/` before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Flags, Floats
from twinfolio.evaluation.bootstrap import (
    Interval,
    bootstrap_interval,
    bootstrap_macro,
    bootstrap_statistics,
    bootstrap_totals_of,
)
from twinfolio.evaluation.classification import classification_report, top_k_hits
from twinfolio.evaluation.curves import PairScores
from twinfolio.evaluation.ranking_metrics import macro_mean
from twinfolio.evaluation.retrieval_protocol import RetrievalResult
from twinfolio.evaluation.verification import Confusion, accept, check_identity

CLASS_INTERVALS = ("mAP", "P@1")


def _with_interval(name: str, value: float, interval: Interval) -> dict[str, float]:
    return {name: value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def verification_report(
    scores: ArrayLike,
    labels: ArrayLike,
    threshold: float | None,
    groups: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    predictions: ArrayLike | None = None,
) -> dict[str, float]:
    """Everything a scored pair list says.

    Args:
        scores: Scores (N,); higher = more similar.
        labels: True for the same class (N,).
        threshold: Chosen before, on validation; only None together with `predictions`.
        groups: Group of each pair's query (N,): the unit of the bootstrap.
        n: Resamples behind each interval.
        seed: Seed of the resamples.
        confidence: Coverage.
        predictions: Accepted pairs (N,) in place of the threshold (`CrossFit.predictions`).

    Returns:
        `tp, fp, fn, tn, n_pairs, threshold` (if given) and, each with `_low`, `_high`: `accuracy, precision, recall,
        f1, specificity, balanced_accuracy, prevalence, pair_ap, auroc, eer`.

    Raises:
        ValueError: Neither threshold nor predictions.
    """
    truth = np.asarray(labels, dtype=np.bool_)
    if predictions is None:
        if threshold is None:
            raise ValueError("give a threshold or predictions")
        predictions = accept(scores, threshold)
    said = np.asarray(predictions, dtype=np.bool_)
    report = confusion_report(_confusion_rows(truth, said), groups, n, seed, confidence)
    if threshold is not None:
        report["threshold"] = float(threshold)
    ordered = PairScores.of(scores, truth)
    intervals = bootstrap_statistics(lambda w: list(ordered.summary(w).values()), groups, n, seed, confidence)
    for (name, value), interval in zip(ordered.summary().items(), intervals, strict=True):
        report |= _with_interval(name, value, interval)
    return report


def confusion_report(
    cells: ArrayLike, groups: ArrayLike, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, float]:
    """Counts, and the shares that follow from them.

    Args:
        cells: TP, FP, FN and TN (N, 4) of each pair, or of all pairs of each query.
        groups: Group of each row's query (N,).
        n: Resamples behind each interval.
        seed: Seed of the resamples.
        confidence: Coverage.

    Returns:
        `tp, fp, fn, tn, n_pairs` and, each with `_low`, `_high`: `accuracy, precision, recall, f1, specificity,
        balanced_accuracy, prevalence`.
    """
    rows = np.asarray(cells, dtype=np.float64)
    counts = Confusion(*(int(total) for total in rows.sum(axis=0)))
    derived = counts.derived()
    check_identity(derived)
    report = {key: derived[key] for key in ("tp", "fp", "fn", "tn")} | {"n_pairs": float(counts.n)}
    shares = bootstrap_totals_of(rows, list(_SHARES.values()), groups, n, seed, confidence)
    for name, interval in zip(_SHARES, shares, strict=True):
        report |= _with_interval(name, derived[name], interval)
    return report


def _confusion_rows(truth: Flags, said: Flags) -> Floats:
    return np.stack([truth & said, ~truth & said, truth & ~said, ~truth & ~said], axis=1).astype(np.float64)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


# columns of the totals: TP, FP, FN, TN
_SHARES: dict[str, Callable[[Floats], Floats]] = {
    "accuracy": lambda t: _ratio(t[:, 0] + t[:, 3], t.sum(axis=1)),
    "precision": lambda t: _ratio(t[:, 0], t[:, 0] + t[:, 1]),
    "recall": lambda t: _ratio(t[:, 0], t[:, 0] + t[:, 2]),
    "f1": lambda t: _ratio(2 * t[:, 0], 2 * t[:, 0] + t[:, 1] + t[:, 2]),
    "specificity": lambda t: _ratio(t[:, 3], t[:, 1] + t[:, 3]),
    "balanced_accuracy": lambda t: (_ratio(t[:, 0], t[:, 0] + t[:, 2]) + _ratio(t[:, 3], t[:, 1] + t[:, 3])) / 2,
    "prevalence": lambda t: _ratio(t[:, 0] + t[:, 2], t.sum(axis=1)),
}


def retrieval_report(
    result: RetrievalResult, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, float]:
    """Means of a retrieval result over its queries, and over its classes.

    Args:
        result: Of `retrieval_protocol` or `leave_one_out`.
        n: Resamples behind each interval; they draw the queries' groups.
        seed: Seed of the resamples.
        confidence: Coverage.

    Returns:
        `n_queries` that count, `n_queries_without_relevant`, `n_gallery`, `n_classes` and, each with `_low`, `_high`:
        `mAP, mAP@R, P@k, R@k, cmc@k, nDCG, nDCG@k, r_precision, MRR` and `macro_` of each. `mAP` and `P@1` also with
        `_class_low`, `_class_high`: resamples draw whole classes, so that the interval speaks of manuscripts not yet
        seen and not of more pages of these.
    """
    metrics, groups, labels = result.metrics, result.queries.groups, result.queries.labels
    n_classes = macro_mean(metrics.per_query["mAP"], labels)[1]
    report = {
        "n_queries": float(metrics.scored.sum()),
        "n_queries_without_relevant": float(metrics.n_empty),
        "n_gallery": float(result.n_gallery),
        "n_classes": float(n_classes),
    }
    for name, mean in metrics.means().items():
        values = metrics.per_query[name]
        report |= _with_interval(name, mean, bootstrap_interval(values, groups, n, seed, confidence))
        macro = bootstrap_macro(values, labels, groups, n, seed, confidence)
        report |= _with_interval(f"macro_{name}", macro_mean(values, labels)[0], macro)
        if name in CLASS_INTERVALS:
            low, high = bootstrap_interval(values, labels, n, seed, confidence)
            report |= {f"{name}_class_low": low, f"{name}_class_high": high}
    return report


def classification_summary(
    probabilities: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, float]:
    """Classification metrics of images (average tiles first, `retrieval_protocol.average_rows`).

    Args:
        probabilities: Probabilities or scores (N, C).
        labels: Class numbers (N,).
        groups: Group of each image (N,).
        n: Resamples behind each interval.
        seed: Seed of the resamples.
        confidence: Coverage.

    Returns:
        `n_images`, `n_classes` with images and, each with `_low`, `_high`: `accuracy`, `macro_` and `weighted_`
        `precision, recall, f1`, `top5_accuracy`.
    """
    array, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    said = array.argmax(axis=1)
    n_classes = array.shape[1]
    report = classification_report(truth, said, n_classes).metrics()
    member, called = np.eye(n_classes)[truth], np.eye(n_classes)[said]
    rows = np.concatenate([member * called, member, called], axis=1)
    names = [key for key in report if not key.startswith("n_")]
    intervals = bootstrap_totals_of(rows, [_class_statistic(name) for name in names], groups, n, seed, confidence)
    for name, interval in zip(names, intervals, strict=True):
        report |= _with_interval(name, report[name], interval)
    hits = top_k_hits(truth, array, 5)
    interval = bootstrap_interval(hits, groups, n, seed, confidence)
    return report | _with_interval("top5_accuracy", float(hits.mean()), interval)


def _class_statistic(name: str) -> Callable[[Floats], Floats]:
    """A mean over classes of resampled totals (B, 3C): hits, support, called."""

    def statistic(totals: Floats) -> Floats:
        hits, support, called = np.split(totals, 3, axis=1)
        images = support.sum(axis=1)
        if name == "accuracy":
            return np.asarray(hits.sum(axis=1) / images)
        kind, _, metric = name.partition("_")
        per_class = {
            "precision": lambda: _ratio(hits, called),
            "recall": lambda: _ratio(hits, support),
            "f1": lambda: _ratio(2 * hits, support + called),
        }[metric]()
        weights = support if kind == "weighted" else (support > 0).astype(np.float64)
        return np.asarray((per_class * weights).sum(axis=1) / weights.sum(axis=1))

    return statistic
