"""Sets of classes with a promised coverage: "one of these three, 90 %".

Sources: Vovk et al. 2005 (split conformal prediction); Sadinle, Lei & Wasserman 2019 (least ambiguous sets: a cut on
class probabilities); Lee, Barber & Willett 2023, "Distribution-free inference with hierarchical data", arXiv 2306.06342
(hierarchical conformal prediction: groups are exchangeable, the queries of one group are not independent).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import AnyArray, Flags, Floats, Integers, finite_scores, same_length
from twinfolio.evaluation.bootstrap import bootstrap_interval, bootstrap_share

Unit = Literal["query", "group"]
_SLACK = 1e-9  # sums of shares miss round numbers by less


@dataclass(frozen=True)
class Conformal:
    """A cut on class probabilities, from validation.

    Attributes:
        cut: A class is in the set where its probability is at least this; 0 puts in all.
        coverage: Promised share of queries whose class is in their set.
        n: Validation groups behind it.
    """

    cut: float
    coverage: float
    n: int

    def sets(self, probabilities: Floats) -> Flags:
        """(Q, C) bool: the classes in each query's set; the most probable one always is."""
        chosen = probabilities >= self.cut
        chosen[np.arange(len(chosen)), probabilities.argmax(axis=1)] = True
        return np.asarray(chosen)


def fit_conformal(
    probabilities: Floats, labels: Integers, groups: ArrayLike, coverage: float = 0.9, unit: Unit = "query"
) -> Conformal:
    """The highest cut that keeps the promise on new groups like validation's.

    Every group weighs 1 / (n + 1), shared by its queries, and the last 1 / (n + 1) stands for the new group and counts
    as missed: the cut is the highest own probability that the share ``coverage`` of this mass reaches. With one query a
    group it is the k-th smallest own probability, k = floor((n + 1) (1 - coverage)). Where fewer than
    coverage / (1 - coverage) groups cannot keep the promise by any cut, the set is all classes.

    Args:
        probabilities: (Q, C) of validation queries.
        labels: (Q,) their classes, as columns.
        groups: (Q,) their groups.
        coverage: Promised share, in (0, 1).
        unit: What the promise is for: ``query``: a query of a new group has its class in its set; ``group``: all
            queries of a new group have, so that a group counts by its worst query (larger sets).

    Raises:
        ValueError: Coverage outside (0, 1), no query, or probabilities that are not finite.
    """
    if not 0 < coverage < 1 or not len(labels):
        raise ValueError(f"coverage = {coverage}: must lie in (0, 1), with queries to fit on")
    array, names = finite_scores(probabilities, 2), np.asarray(groups)
    same_length(probabilities=array, labels=labels, groups=names)
    own = array[np.arange(len(labels)), labels]
    _, group = np.unique(names, return_inverse=True)
    if unit == "group":
        own, group = _worst(own, group)
    sizes = np.bincount(group)
    falling = np.argsort(-own, kind="stable")
    reached = np.cumsum(1 / sizes[group[falling]]) / (len(sizes) + 1)
    enough = np.flatnonzero(reached >= coverage - _SLACK)
    return Conformal(float(own[falling[enough[0]]]) if len(enough) else 0.0, coverage, len(sizes))


def _worst(own: Floats, group: Integers) -> tuple[Floats, Integers]:
    """The lowest own probability of each group (G,), and the groups' numbers."""
    worst = np.full(group.max() + 1, np.inf)
    np.minimum.at(worst, group, own)
    return worst, np.arange(len(worst))


def coverage_report(
    sets: Flags, labels: Integers, groups: ArrayLike, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, float]:
    """Measured coverage and size of the sets, with intervals over groups.

    Args:
        sets: (Q, C) bool.
        labels: (Q,) classes of the queries.
        groups: (Q,) their groups.
        n: Resamples.
        seed: Of the resamples.
        confidence: Of the intervals.

    Returns:
        ``coverage`` (the share of queries), ``set_size`` (mean number of classes) and ``single`` (share of sets of one
        class), each with ``_low`` and ``_high``.
    """
    names: AnyArray = np.asarray(groups)
    covered, sizes = sets[np.arange(len(labels)), labels], sets.sum(axis=1)
    report = {
        "coverage": (float(covered.mean()), bootstrap_share(covered, names, n, seed, confidence)),
        "set_size": (float(sizes.mean()), bootstrap_interval(sizes, names, n, seed, confidence)),
        "single": (float((sizes == 1).mean()), bootstrap_share(sizes == 1, names, n, seed, confidence)),
    }
    return {
        key: number
        for name, (value, (low, high)) in report.items()
        for key, number in ((name, value), (f"{name}_low", low), (f"{name}_high", high))
    }
