"""ROC and PR curves of scored pairs, their areas and the equal error rate, with row weights.

Ties move along both axes at once. Source: Fawcett 2006, algorithm 1; Davis & Goadrich 2006 (why PR is not
interpolated).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Flags, Floats, Integers, finite_scores, same_length


@dataclass(frozen=True)
class RocCurve:
    """False and true positive rates at falling thresholds, from (0, 0) to (1, 1)."""

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Floats

    @property
    def area(self) -> float:
        """P(score of a positive > of a negative) + P(tie) / 2."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))

    @property
    def equal_error_rate(self) -> float:
        """The error where false acceptance equals false rejection, linear between the two nearest thresholds."""
        gap = self.false_positive_rate - (1 - self.true_positive_rate)  # rises from -1 to 1
        if not len(gap) or np.isnan(gap).any():
            return float("nan")
        after = int(np.argmax(gap >= 0))
        step = gap[after] - gap[after - 1]
        share = -gap[after - 1] / step
        low, high = self.false_positive_rate[after - 1], self.false_positive_rate[after]
        return float(low + share * (high - low))


@dataclass(frozen=True)
class PrCurve:
    """Precision and recall at falling thresholds."""

    precision: Floats
    recall: Floats
    thresholds: Floats

    @property
    def average_precision(self) -> float:
        """sum_n (R_n - R_(n-1)) P_n: the step sum, not the trapezoid."""
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())


@dataclass(frozen=True)
class PairScores:
    """Pairs sorted once, so that each resample costs two cumulative sums.

    Args:
        labels: True for the same class, by falling score (N,).
        order: The order (N,).
        last: Last place of each run of equal scores (T,).
        thresholds: The distinct scores, falling (T,).
    """

    labels: Flags
    order: Integers
    last: Integers
    thresholds: Floats

    @classmethod
    def of(cls, scores: ArrayLike, labels: ArrayLike) -> PairScores:
        """Sorts scores (N,) with their labels (N,)."""
        array, truth = finite_scores(scores, 1), np.asarray(labels, dtype=np.bool_)
        same_length(scores=array, labels=truth)
        order = np.argsort(-array, kind="stable")
        ordered = array[order]
        last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(array) else np.empty(0, np.int64)
        return cls(truth[order], order, last, ordered[last])

    def _accepted(self, weights: Floats | None) -> tuple[Floats, Floats]:
        ordered = np.ones(len(self.order)) if weights is None else np.asarray(weights, np.float64)[self.order]
        positives = np.cumsum(np.where(self.labels, ordered, 0.0))[self.last]
        return positives, np.cumsum(ordered)[self.last] - positives

    def roc(self, weights: Floats | None = None) -> RocCurve:
        """The ROC curve with optional row weights (N,); NaN rates where one of the two kinds is missing."""
        positives, negatives = self._accepted(weights)
        thresholds = np.concatenate([[np.inf], self.thresholds])
        return RocCurve(_rate(negatives), _rate(positives), thresholds)

    def pr(self, weights: Floats | None = None) -> PrCurve:
        """The PR curve with optional row weights (N,); NaN recall where there are no positives."""
        positives, negatives = self._accepted(weights)
        accepted = positives + negatives
        precision = np.divide(positives, accepted, out=np.zeros_like(positives), where=accepted > 0)
        return PrCurve(precision, _rate(positives)[1:], self.thresholds)

    def summary(self, weights: Floats | None = None) -> dict[str, float]:
        """`pair_ap`, `auroc` and `eer` with optional row weights (N,)."""
        roc = self.roc(weights)
        return {
            "pair_ap": self.pr(weights).average_precision,
            "auroc": roc.area,
            "eer": roc.equal_error_rate,
        }


def _rate(counts: Floats) -> Floats:
    total = counts[-1] if len(counts) else 0.0
    if total <= 0:
        return np.full(len(counts) + 1, np.nan)
    return np.append(0.0, counts / total)


def roc_curve(scores: ArrayLike, labels: ArrayLike) -> RocCurve:
    """ROC curve of scores (N,) for labels (N,); `area` is its AUC."""
    return PairScores.of(scores, labels).roc()


def pr_curve(scores: ArrayLike, labels: ArrayLike) -> PrCurve:
    """PR curve of scores (N,) for labels (N,); `average_precision` is the pair AP."""
    return PairScores.of(scores, labels).pr()


def pair_ap(scores: ArrayLike, labels: ArrayLike) -> float:
    """Average precision over pooled pairs: not the retrieval mAP, and about the prevalence for a random scorer."""
    return pr_curve(scores, labels).average_precision


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve."""
    return roc_curve(scores, labels).area


def equal_error_rate(scores: ArrayLike, labels: ArrayLike) -> float:
    """Equal error rate."""
    return roc_curve(scores, labels).equal_error_rate
