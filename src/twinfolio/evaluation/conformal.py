"""Sets of classes with a promised coverage: "one of these three, 90 %".

Source: Vovk et al. 2005, split conformal prediction; Sadinle et al. 2019, least ambiguous sets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Flags, Floats, Integers
from twinfolio.evaluation.significance import Interval, bootstrap_interval


@dataclass(frozen=True)
class Conformal:
    """A cut on class probabilities, from validation.

    Attributes:
        cut: A class is in the set where its probability is at least this.
        coverage: Promised share of queries whose class is in their set.
        n: Validation groups behind it.
    """

    cut: float
    coverage: float
    n: int

    def sets(self, probabilities: Floats) -> Flags:
        """(Q, C) bool: the classes in each query's set; the most probable one always is."""
        chosen = probabilities >= self.cut
        chosen[np.arange(len(chosen)), probabilities.argmax(1)] = True
        return np.asarray(chosen)


def fit_conformal(probabilities: Floats, labels: Integers, groups: ArrayLike, coverage: float = 0.9) -> Conformal:
    """The highest cut that keeps the promise on new groups like validation's.

    Queries of one page are not exchangeable with each other, so each group counts once, by its worst query.

    Args:
        probabilities: (Q, C) of validation queries.
        labels: (Q,) their classes.
        groups: (Q,) their groups.
        coverage: Promised share, in (0, 1).

    Raises:
        ValueError: Coverage outside (0, 1), or no query.
    """
    if not 0 < coverage < 1 or not len(labels):
        raise ValueError(f"coverage = {coverage}: must lie in (0, 1), with queries to fit on")
    own = probabilities[np.arange(len(labels)), labels]
    names, inverse = np.unique(np.asarray(groups), return_inverse=True)
    worst = np.full(len(names), np.inf)
    np.minimum.at(worst, inverse, own)
    # the k-th smallest of n, k = floor((n + 1) (1 - coverage)): below the first one nothing can be promised but all
    k = math.floor((len(names) + 1) * (1 - coverage) + 1e-9)
    return Conformal(float(np.sort(worst)[k - 1]) if k > 0 else 0.0, coverage, len(names))


def coverage_report(sets: Flags, labels: Integers, groups: ArrayLike, n: int = 1000, seed: int = 0) -> dict[str, float]:
    """Measured coverage and size of the sets, with intervals over groups.

    Args:
        sets: (Q, C) bool.
        labels: (Q,) classes of the queries.
        groups: (Q,) their groups.
        n: Resamples.
        seed: Of the resamples.
    """
    values = {
        "coverage": sets[np.arange(len(labels)), labels].astype(np.float64),
        "set_size": sets.sum(1).astype(np.float64),
    }
    report: dict[str, float] = {}
    for name, per_query in values.items():
        interval: Interval = bootstrap_interval(per_query, groups, n, seed)
        report |= {name: float(per_query.mean()), f"{name}_low": interval.low, f"{name}_high": interval.high}
    return report
