"""Same or different: everything one set of scored pairs says, derived from counts.

Source: Fawcett 2006, "An introduction to ROC analysis", algorithms 1 and 2 (ties move both axes at once).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.errors import DataError
from twinfolio.evaluation.arrays import Flags, Floats, Integers, codes, finite_scores, same_length

Criterion = Literal["f1", "accuracy"]


@dataclass(frozen=True)
class Confusion:
    """Counts of accepted and rejected pairs; every share is derived from them, 0/0 being 0."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n(self) -> int:
        """Pairs."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def accuracy(self) -> float:
        """(TP + TN) / N."""
        return _share(self.tp + self.tn, self.n)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP)."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def balanced_accuracy(self) -> float:
        """(recall + specificity) / 2."""
        return (self.recall + self.specificity) / 2

    @property
    def prevalence(self) -> float:
        """(TP + FN) / N, without which an accuracy says nothing."""
        return _share(self.tp + self.fn, self.n)

    def derived(self) -> dict[str, float]:
        """The counts and all shares."""
        names = ("accuracy", "precision", "recall", "f1", "specificity", "balanced_accuracy", "prevalence")
        return {key: float(value) for key, value in asdict(self).items()} | {key: getattr(self, key) for key in names}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def check_identity(reported: Mapping[str, float], tolerance: float = 5e-6) -> None:
    """Checks that reported shares follow from the counts reported with them.

    Args:
        reported: `tp, fp, fn, tn` and any of the shares of `Confusion.derived`.
        tolerance: Rounding allowed.

    Raises:
        ValueError: A count is not whole, or a share is not what the counts give; the message names it.
    """
    counts = {key: reported[key] for key in ("tp", "fp", "fn", "tn")}
    if any(value != int(value) or value < 0 for value in counts.values()):
        raise ValueError(f"counts are not whole numbers: {counts}")
    expected = Confusion(**{key: int(value) for key, value in counts.items()}).derived()
    for key in expected.keys() & reported.keys():
        if abs(expected[key] - reported[key]) > tolerance:
            raise ValueError(f"{key} = {reported[key]} does not follow from {counts}: {expected[key]}")


def accept(scores: ArrayLike, threshold: float) -> Flags:
    """Pairs called the same: score >= threshold, compared in float64."""
    return np.asarray(finite_scores(scores, 1) >= np.float64(threshold))


def confusion(labels: ArrayLike, predictions: ArrayLike) -> Confusion:
    """Counts of predictions (N,) against labels (N,), both true for the same class."""
    truth, said = np.asarray(labels, dtype=np.bool_), np.asarray(predictions, dtype=np.bool_)
    same_length(labels=truth, predictions=said)
    cells = np.bincount(2 * truth + said, minlength=4)
    return Confusion(tp=int(cells[3]), fp=int(cells[1]), fn=int(cells[2]), tn=int(cells[0]))


def confusion_at(scores: ArrayLike, labels: ArrayLike, threshold: float) -> Confusion:
    """Counts at a given threshold, which is never searched here."""
    return confusion(labels, accept(scores, threshold))


def _cuts(scores: Floats, labels: Flags) -> tuple[Floats, Floats, Floats]:
    """Thresholds between neighbouring distinct scores, falling, with the accepted positives and negatives of each.

    The first accepts nothing, the last everything.
    """
    values, inverse = np.unique(scores, return_inverse=True)
    positives = np.bincount(inverse, weights=labels, minlength=len(values))[::-1]
    negatives = np.bincount(inverse, weights=~labels, minlength=len(values))[::-1]
    middle = values[:-1] + (values[1:] - values[:-1]) / 2
    middle = np.where(middle <= values[:-1], values[1:], middle)  # neighbours in float64 have no middle
    ends = np.nextafter(values[-1], np.inf), values[0]
    thresholds = np.concatenate([[ends[0]], middle[::-1], [ends[1]]])
    return thresholds, np.append(0.0, positives.cumsum()), np.append(0.0, negatives.cumsum())


def choose_threshold(scores: ArrayLike, labels: ArrayLike, criterion: Criterion = "f1") -> float:
    """The threshold that maximises a criterion: for validation, never for test.

    Args:
        scores: Scores (N,); higher = more similar.
        labels: True for the same class (N,).
        criterion: `f1` or `accuracy`.

    Returns:
        The middle between the two neighbouring scores; among equally good ones the highest.

    Raises:
        DataError: There are no pairs.
    """
    array, truth = finite_scores(scores, 1), np.asarray(labels, dtype=np.bool_)
    if not same_length(scores=array, labels=truth):
        raise DataError("no verification pairs to choose a threshold on", "give validation more groups a class")
    thresholds, tp, fp = _cuts(array, truth)
    n_positives = truth.sum()
    # tp - fp is accuracy times N, less the negatives
    value = 2 * tp / np.maximum(tp + fp + n_positives, 1) if criterion == "f1" else tp - fp
    return float(thresholds[np.argmax(value)])


@dataclass(frozen=True)
class CrossFit:
    """Predictions by thresholds that never saw the query's group.

    Args:
        predictions: Accepted pairs (N,).
        thresholds: One a fold (F,).
        fold: Fold of each pair (N,).
        threshold: The one to keep for later: of all pairs, or the folds' median.
    """

    predictions: Flags
    thresholds: Floats
    fold: Integers
    threshold: float


def cross_fit_thresholds(
    scores: ArrayLike,
    labels: ArrayLike,
    query_groups: ArrayLike,
    folds: int = 5,
    seed: int = 0,
    criterion: Criterion = "f1",
    final: Literal["whole", "median"] = "whole",
) -> CrossFit:
    """Chooses each fold's threshold on the other folds; the query's groups are dealt to the folds.

    Args:
        scores: Scores (N,).
        labels: True for the same class (N,).
        query_groups: Group of each pair's query (N,).
        folds: Folds, at most as many as groups.
        seed: Seed of the dealing; the order of the pairs does not matter.
        criterion: What the threshold maximises.
        final: Threshold kept for later: `whole`, chosen on all pairs, or the folds' `median`.

    Returns:
        Out-of-fold predictions and thresholds.

    Raises:
        DataError: Fewer than two query groups, or no pairs.
    """
    array, truth = finite_scores(scores, 1), np.asarray(labels, dtype=np.bool_)
    (group,) = codes(query_groups)
    same_length(scores=array, labels=truth, groups=group)
    n_groups = int(group.max(initial=-1)) + 1
    if n_groups < 2:
        raise DataError(f"verification pairs of {n_groups} query groups", "give validation at least two groups")
    n_folds = min(folds, n_groups)
    dealt = np.random.default_rng(seed).permutation(np.arange(n_groups) % n_folds)
    fold = dealt[group]
    thresholds = np.array([choose_threshold(array[fold != f], truth[fold != f], criterion) for f in range(n_folds)])
    kept = choose_threshold(array, truth, criterion) if final == "whole" else float(np.median(thresholds))
    return CrossFit(array >= thresholds[fold], thresholds, fold.astype(np.int64), kept)
