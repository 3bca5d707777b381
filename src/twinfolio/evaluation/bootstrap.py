"""Intervals whose unit is the group: patches of one page are not independent.

Every resample draws whole groups with replacement. A resample is a row of group weights, so that a mean, a ratio
or any function of sums over rows costs one matrix product for all resamples together.

Source: Davison & Hinkley 1997, section 3.8 (cluster bootstrap, percentile interval); Wilson 1927.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Floats, same_length

_BLOCK_CELLS = 4_000_000  # weights held at once: 32 MiB


class Interval(NamedTuple):
    """The ends of a confidence interval; both NaN where one group alone says nothing about spread."""

    low: float
    high: float


def group_weights(n_groups: int, n: int, seed: int) -> Iterator[Floats]:
    """Blocks (B, n_groups) of how often each group was drawn; the blocks' size does not change the draws."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK_CELLS // n_groups)
    for start in range(0, n, block):
        rows = min(block, n - start)
        draws = generator.integers(n_groups, size=(rows, n_groups))
        flat = (draws + np.arange(rows)[:, None] * n_groups).ravel()
        yield np.bincount(flat, minlength=rows * n_groups).reshape(rows, n_groups).astype(np.float64)


def group_totals(rows: Floats, groups: ArrayLike) -> Floats:
    """Sums of rows (N, K) over each group -> (G, K), groups in sorted order."""
    names, inverse = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(names)))
    return np.add.reduceat(rows[order], starts, axis=0)


def percentiles(values: Floats, confidence: float) -> Interval:
    """The middle share ``confidence`` of values (B,); those that are not finite are left out."""
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def bootstrap_totals(
    rows: ArrayLike,
    statistic: Callable[[Floats], Floats],
    groups: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of any function of sums over rows; see `bootstrap_totals_of` for several."""
    return bootstrap_totals_of(rows, [statistic], groups, n, seed, confidence)[0]


def bootstrap_totals_of(
    rows: ArrayLike,
    statistics: Sequence[Callable[[Floats], Floats]],
    groups: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Interval]:
    """Intervals of several functions of sums over rows, of the same resamples.

    Args:
        rows: Addends (N, K), for example one-hot confusion counts.
        statistics: From totals (B, K) of B resamples to values (B,); non-finite ones are left out.
        groups: Group of each row (N,).
        n: Resamples.
        seed: Seed of the resamples: equal groups and seed give the same resamples.
        confidence: Coverage.

    Returns:
        The percentile intervals, one a statistic; NaN for fewer than two groups.
    """
    addends = np.asarray(rows, dtype=np.float64)
    same_length(rows=addends, groups=np.asarray(groups))
    if len(np.unique(np.asarray(groups))) < 2:
        return [Interval(float("nan"), float("nan"))] * len(statistics)
    totals = group_totals(addends, groups)
    blocks = [weights @ totals for weights in group_weights(len(totals), n, seed)]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [np.concatenate([statistic(block) for block in blocks]) for statistic in statistics]
    return [percentiles(of_one, confidence) for of_one in values]


def bootstrap_interval(
    values: ArrayLike, groups: ArrayLike, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Interval of the mean of values (N,); NaN values (queries without relevant items) are left out."""
    array = np.asarray(values, dtype=np.float64)
    return bootstrap_ratio(array, np.ones_like(array), groups, n, seed, confidence)


def bootstrap_share(
    hits: ArrayLike, groups: ArrayLike, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Interval of the share of rows that hold.

    Where all of them do, or none, no resample differs and a bootstrap would claim certainty: then Wilson's interval
    with a trial a group.

    Args:
        hits: Whether each row holds (N,).
        groups: Group of each row (N,).
        n: Resamples.
        seed: Seed of the resamples.
        confidence: Coverage.
    """
    array = np.asarray(hits, dtype=np.bool_)
    if array.all() or not array.any():
        trials = len(np.unique(np.asarray(groups)))
        return wilson_interval(trials if array.any() else 0, trials, confidence)
    return bootstrap_interval(array, groups, n, seed, confidence)


def bootstrap_ratio(
    numerator: ArrayLike,
    denominator: ArrayLike,
    groups: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of sum(numerator) / sum(denominator): precision, recall, F from addends of each row.

    Args:
        numerator: Addends (N,), NaN to leave a row out.
        denominator: Addends (N,).
        groups: Group of each row (N,).
        n: Resamples.
        seed: Seed of the resamples.
        confidence: Coverage.

    Returns:
        The percentile interval.
    """
    rows = np.stack([np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)], axis=1)
    keep = ~np.isnan(rows).any(axis=1)
    return bootstrap_totals(rows[keep], lambda t: t[:, 0] / t[:, 1], np.asarray(groups)[keep], n, seed, confidence)


def bootstrap_macro(
    values: ArrayLike, classes: ArrayLike, groups: ArrayLike, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Interval of the mean over classes of the class means; a class absent from a resample is left out of it."""
    array = np.asarray(values, dtype=np.float64)
    keep = ~np.isnan(array)
    _, inverse = np.unique(np.asarray(classes)[keep], return_inverse=True)
    member = np.eye(inverse.max(initial=-1) + 1)[inverse]
    rows = np.concatenate([member * array[keep][:, None], member], axis=1)

    def macro(totals: Floats) -> Floats:
        sums, counts = np.split(totals, 2, axis=1)
        present = counts > 0
        means = np.where(present, sums / np.maximum(counts, 1), 0.0)
        return np.asarray(means.sum(axis=1) / present.sum(axis=1))

    return bootstrap_totals(rows, macro, np.asarray(groups)[keep], n, seed, confidence)


def bootstrap_statistic(
    statistic: Callable[[Floats], float], groups: ArrayLike, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Interval of any weighted statistic (AUC, AP, a difference of two); see `bootstrap_statistics`."""
    return bootstrap_statistics(lambda weights: [statistic(weights)], groups, n, seed, confidence)[0]


def bootstrap_statistics(
    statistics: Callable[[Floats], Sequence[float]],
    groups: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Interval]:
    """Intervals of several weighted statistics of the same resamples: one call a resample.

    Args:
        statistics: From row weights (N,), how often each row was drawn, to values; NaN is left out.
        groups: Group of each row (N,).
        n: Resamples.
        seed: Seed of the resamples.
        confidence: Coverage.

    Returns:
        The percentile intervals, one a statistic; NaN for fewer than two groups.
    """
    names, inverse = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return [Interval(float("nan"), float("nan"))] * len(statistics(np.ones(len(inverse))))
    values = [statistics(row[inverse]) for weights in group_weights(len(names), n, seed) for row in weights]
    return [percentiles(column, confidence) for column in np.asarray(values, dtype=np.float64).T]


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Score interval of a share of n independent trials (Wilson 1927, Eq. 1); (0, 1) where n = 0.

    Args:
        successes: How many succeeded; a trial may count in part.
        n: Trials.
        confidence: Coverage.
    """
    from scipy.special import ndtri

    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} trials")
    if n == 0:
        return Interval(0.0, 1.0)
    z = float(ndtri((1 + confidence) / 2))
    share, scale = successes / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    low = 0.0 if successes == 0 else centre - half
    return Interval(low, 1.0 if successes == n else centre + half)
