"""Near-duplicates found again: planted copies as queries, their originals among other images.

A pair of a copy with its original is positive and every other pair of the copy negative, so that positives are as rare
as in an archive, and accuracy says next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twinfolio.evaluation.arrays import AnyArray, Flags, Floats, Integers, finite_scores, same_length
from twinfolio.evaluation.bootstrap import Interval, bootstrap_interval, bootstrap_share, wilson_interval
from twinfolio.evaluation.oneshot import trial_credit
from twinfolio.evaluation.reports import confusion_report
from twinfolio.evaluation.verification import Criterion, accept, choose_threshold

SHARES = ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "prevalence")
"""What ``planted_report`` says of all pairs together."""


@dataclass(frozen=True)
class PlantedScores:
    """How alike copies are to the images of a gallery.

    Args:
        scores: Scores (Q, M); higher = more similar.
        originals: Gallery image that each copy was made of (Q,).
        kinds: What was done to it (Q,).
        groups: Group of the original (Q,): the unit of the bootstrap.
        barred: Pairs (Q, M) that count neither way: real duplicates of the original, as far as they are known.

    Raises:
        ValueError: The arrays do not fit, a score is not finite, or an original is barred.
    """

    scores: Floats
    originals: Integers
    kinds: AnyArray
    groups: AnyArray
    barred: Flags

    def __post_init__(self) -> None:
        same_length(scores=self.scores, originals=self.originals, kinds=self.kinds, groups=self.groups)
        finite_scores(self.scores, 2)
        if self.barred.shape != self.scores.shape or self.barred[self._rows, self.originals].any():
            raise ValueError("barred pairs must be (Q, M) and leave every copy its original")

    @cached_property
    def labels(self) -> Flags:
        """Pairs (Q, M) of a copy with its original."""
        return np.asarray(self.originals[:, None] == np.arange(self.scores.shape[1]))

    def threshold(self, criterion: Criterion = "f1") -> float:
        """The threshold that maximises a criterion over the pairs that count: for validation, never for test."""
        return choose_threshold(self.scores[~self.barred], self.labels[~self.barred], criterion)

    def found(self, threshold: float) -> Flags:
        """Copies (Q,) whose original is accepted."""
        return accept(self.scores[self._rows, self.originals], threshold)

    def first(self) -> Floats:
        """Credit (Q,) of each copy for its original in the first place: 1, or 1 / n where it ties with n - 1 others."""
        lowest = self.scores.min()
        return trial_credit(np.where(self.barred, lowest - 1, self.scores), self.originals)

    def cells(self, threshold: float) -> Integers:
        """TP, FP, FN and TN (Q, 4) of each copy's pairs."""
        said, counted = self.scores >= np.float64(threshold), ~self.barred
        pairs = (said & self.labels, said & ~self.labels, ~said & self.labels, ~said & ~self.labels)
        return np.stack([(one & counted).sum(axis=1) for one in pairs], axis=1).astype(np.int64)

    @property
    def _rows(self) -> Integers:
        return np.arange(len(self.originals))


def planted_report(
    planted: PlantedScores, threshold: float, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, float]:
    """How well copies are found.

    Args:
        planted: Copies of one split.
        threshold: Chosen on validation's own copies.
        n: Resamples behind each interval; they draw the originals' groups.
        seed: Seed of the resamples.
        confidence: Coverage.

    Returns:
        `tp, fp, fn, tn, n_pairs, n_copies, n_gallery, threshold` and, each with `_low`, `_high`: `SHARES` over all
        pairs, `recall@1` (the original comes first), and `recall_<kind>` and `recall@1_<kind>` of each kind. Where
        nothing failed, or all, no resample differs: then Wilson's interval with a trial a group.
    """
    how = (n, seed, confidence)
    of_pairs = confusion_report(planted.cells(threshold), planted.groups, *how)
    report = {key: of_pairs[key] for key in ("tp", "fp", "fn", "tn", "n_pairs")}
    report |= {"n_copies": float(len(planted.kinds)), "n_gallery": float(planted.scores.shape[1])}
    report["threshold"] = float(threshold)
    for name in SHARES:
        bootstrapped = Interval(of_pairs[f"{name}_low"], of_pairs[f"{name}_high"])
        report |= _named(name, of_pairs[name], _honest(of_pairs[name], bootstrapped, planted.groups, confidence))
    found, first = planted.found(threshold), planted.first()
    report |= _first_report("recall@1", first, planted.groups, how)
    for kind in np.unique(planted.kinds):
        of = planted.kinds == kind
        report |= _named(
            f"recall_{kind}", float(found[of].mean()), bootstrap_share(found[of], planted.groups[of], *how)
        )
        report |= _first_report(f"recall@1_{kind}", first[of], planted.groups[of], how)
    return report


def _first_report(name: str, credit: Floats, groups: AnyArray, how: tuple[int, int, float]) -> dict[str, float]:
    value = float(credit.mean())
    return _named(name, value, _honest(value, bootstrap_interval(credit, groups, *how), groups, how[2]))


def _honest(value: float, interval: Interval, groups: AnyArray, confidence: float) -> Interval:
    """The interval, or Wilson's where a bootstrap would claim certainty."""
    if value not in (0.0, 1.0):
        return interval
    trials = len(np.unique(groups))
    return wilson_interval(trials * value, trials, confidence)


def _named(name: str, value: float, interval: Interval) -> dict[str, float]:
    return {name: value, f"{name}_low": interval.low, f"{name}_high": interval.high}
