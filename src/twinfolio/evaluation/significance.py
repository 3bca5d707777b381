"""Comparisons of two systems whose unit is the group: patches of one page are not independent.

Source: Davison & Hinkley 1997, section 3.8 (cluster bootstrap); Phipson & Smyth 2010 (p of random permutations).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import AnyArray, Floats, same_length
from twinfolio.evaluation.bootstrap import bootstrap_interval, group_totals, group_weights, percentiles

_BLOCK_CELLS = 4_000_000  # signs drawn at once: 32 MiB
_EXACT_GROUPS = 14  # 2**14 sign patterns cost less than the usual number of random ones


class Difference(NamedTuple):
    """A paired difference of means with its interval."""

    difference: float
    low: float
    high: float


def _paired(a: ArrayLike, b: ArrayLike, groups: ArrayLike) -> tuple[Floats, AnyArray]:
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    names = np.asarray(groups)
    same_length(values=differences, groups=names)
    keep = ~np.isnan(differences)
    return differences[keep], names[keep]


def paired_difference(
    a: ArrayLike, b: ArrayLike, groups: ArrayLike, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Difference:
    """mean(a - b) over the rows both have, with its interval (a and b resampled together)."""
    differences, names = _paired(a, b, groups)
    low, high = bootstrap_interval(differences, names, n, seed, confidence)
    return Difference(float(differences.mean()) if len(differences) else float("nan"), low, high)


def unpaired_difference(
    a: ArrayLike,
    groups_a: ArrayLike,
    b: ArrayLike,
    groups_b: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Difference:
    """mean(a) - mean(b) of two samples that share no rows, each resampled by its own groups.

    Args:
        a: Values (N,); NaN values are left out.
        groups_a: Their groups (N,).
        b: Values (M,).
        groups_b: Their groups (M,).
        n: Resamples.
        seed: Seed of the resamples.
        confidence: Coverage.

    Returns:
        The difference; its ends are NaN where a side has fewer than two groups.
    """
    means, resampled = [], []
    for number, (values, groups) in enumerate(((a, groups_a), (b, groups_b))):
        array = np.asarray(values, dtype=np.float64)
        keep = ~np.isnan(array)
        means.append(float(array[keep].mean()) if keep.any() else float("nan"))
        rows = np.stack([array[keep], np.ones(int(keep.sum()))], axis=1)
        resampled.append(_resampled_means(rows, np.asarray(groups)[keep], n, seed + number))
    return Difference(means[0] - means[1], *percentiles(resampled[0] - resampled[1], confidence))


def _resampled_means(rows: Floats, groups: AnyArray, n: int, seed: int) -> Floats:
    """Means (n,) of resamples of values and ones (N, 2); NaN where there is one group or none."""
    if len(np.unique(groups)) < 2:
        return np.full(n, np.nan)
    totals = group_totals(rows, groups)
    drawn = np.concatenate([weights @ totals for weights in group_weights(len(totals), n, seed)])
    return np.asarray(drawn[:, 0] / drawn[:, 1])


def paired_permutation_test(a: ArrayLike, b: ArrayLike, groups: ArrayLike, n: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of mean(a - b) = 0 under exchange of a and b in whole groups.

    All sign patterns are counted where there are at most 14 groups that differ; otherwise n random ones, and
    the observed one is counted with them (Phipson & Smyth 2010), so that p is never 0.

    Args:
        a: Values of one system (N,), NaN to leave a row out.
        b: Values of the other (N,).
        groups: Group of each row (N,).
        n: Random patterns.
        seed: Seed of the patterns.

    Returns:
        p in (0, 1]; 1 where nothing differs.
    """
    differences, names = _paired(a, b, groups)
    if not len(differences):
        return 1.0
    totals = group_totals(differences[:, None], names)[:, 0]
    totals = totals[totals != 0]
    observed = abs(totals.sum()) - 1e-12 * np.abs(totals).sum()  # sums in another order differ in the last digits
    if len(totals) <= _EXACT_GROUPS:
        signs = np.array(list(product((1.0, -1.0), repeat=len(totals))))
        return float((np.abs(signs @ totals) >= observed).mean())
    generator = np.random.default_rng(seed)
    reached = 0
    block = max(1, _BLOCK_CELLS // len(totals))
    for start in range(0, n, block):
        drawn = generator.integers(2, size=(min(block, n - start), len(totals))) * 2.0 - 1.0
        reached += int((np.abs(drawn @ totals) >= observed).sum())
    return (reached + 1) / (n + 1)


def sign_test(a: ArrayLike, b: ArrayLike) -> tuple[float, int, int, int]:
    """Exact two-sided sign test over rows, ties dropped.

    Returns:
        p = min(1, 2 P(Bin(W + L, 1/2) >= max(W, L))), wins of a, losses, ties; p = 1 where all are ties.
    """
    from scipy.special import bdtrc

    differences, _ = _paired(a, b, np.zeros(len(np.asarray(a))))
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    ties = len(differences) - wins - losses
    p = min(1.0, 2.0 * float(bdtrc(max(wins, losses) - 1, wins + losses, 0.5))) if wins + losses else 1.0
    return p, wins, losses, ties
