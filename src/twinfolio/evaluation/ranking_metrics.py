"""Retrieval metrics of score matrices, exact under ties.

Tied candidates have no order, and sorting gives them one that depends on nothing but their rows: a constant scorer
could look good. Every value here is the expectation over all orders of the ties.

Source: McSherry & Najork 2008, "Computing information retrieval performance measures efficiently in the presence
of tied scores", Eq. 6 (AP), section 2 (P@k, reciprocal rank).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Flags, Floats, Integers, finite_scores

EmptyPolicy = Literal["exclude", "zero", "raise"]
_BLOCK_CELLS = 1_000_000


@dataclass(frozen=True)
class RankingMetrics:
    """Retrieval metrics of each query.

    Args:
        per_query: `mAP` (the query's AP), `P@k`, `R@k`, `cmc@k` (a hit within k), `r_precision`, `MRR` (the
            reciprocal rank): arrays (Q,) in [0, 1], NaN for queries left out.
        cmc_per_query: Chance of a hit within 1..K places (Q, K).
        n_relevant: Relevant candidates of each query (Q,).
        n_candidates: Candidates of each query (Q,).
        n_empty: Queries without a relevant candidate.
    """

    per_query: dict[str, Floats]
    cmc_per_query: Floats
    n_relevant: Integers
    n_candidates: Integers
    n_empty: int

    @property
    def scored(self) -> Flags:
        """Queries that count (Q,)."""
        return ~np.isnan(self.per_query["mAP"])

    @property
    def cmc(self) -> Floats:
        """Cumulative match curve at 1..K over the queries that count (K,); NaN where none does."""
        if not self.scored.any():
            return np.full(self.cmc_per_query.shape[1], np.nan)
        return np.asarray(self.cmc_per_query[self.scored].mean(axis=0))

    def means(self) -> dict[str, float]:
        """Mean of each metric over the queries that count; NaN where none does."""
        scored = self.scored
        return {
            key: float(value[scored].mean()) if scored.any() else float("nan") for key, value in self.per_query.items()
        }


@dataclass(frozen=True)
class _Sorted:
    """One block of queries, each row sorted by falling score with the excluded candidates last."""

    before: Floats  # relevant candidates before the tie (B, M)
    inside: Floats  # relevant candidates in the tie
    size: Floats  # candidates in the tie
    place: Floats  # place within the tie, from 0
    valid: Flags

    @property
    def expected_hits(self) -> Floats:
        """Expected relevant candidates among the first p + 1 (B, M)."""
        return np.asarray(self.before + self.inside * (self.place + 1) / self.size)


def _sort(scores: Floats, relevant: Flags, excluded: Flags) -> _Sorted:
    keyed = np.where(excluded, np.inf, -scores)
    order = np.argsort(keyed, axis=1, kind="stable")
    keyed = np.take_along_axis(keyed, order, axis=1)
    hits = np.take_along_axis(relevant & ~excluded, order, axis=1)
    n_queries, n_places = keyed.shape
    columns = np.broadcast_to(np.arange(n_places), keyed.shape)
    opens = np.ones(keyed.shape, dtype=np.bool_)
    opens[:, 1:] = keyed[:, 1:] != keyed[:, :-1]
    start = np.maximum.accumulate(np.where(opens, columns, 0), axis=1)
    closes = np.ones(keyed.shape, dtype=np.bool_)
    closes[:, :-1] = opens[:, 1:]
    end = np.minimum.accumulate(np.where(closes, columns, n_places)[:, ::-1], axis=1)[:, ::-1] + 1
    totals = np.zeros((n_queries, n_places + 1))
    np.cumsum(hits, axis=1, out=totals[:, 1:])
    before = np.take_along_axis(totals, start, axis=1)
    inside = np.take_along_axis(totals, end, axis=1) - before
    valid = np.take_along_axis(~excluded, order, axis=1)
    return _Sorted(before, inside, (end - start).astype(np.float64), (columns - start).astype(np.float64), valid)


def _average_precision(block: _Sorted, n_relevant: Integers) -> Floats:
    """Expected AP: at each place the chance of a hit times the expected precision given one (Eq. 6)."""
    others = np.where(block.size > 1, (block.inside - 1) / np.maximum(block.size - 1, 1), 0.0)
    ranks = np.arange(1, block.size.shape[1] + 1)
    gained = block.inside / block.size * (block.before + block.place * others + 1) / ranks
    return np.asarray(np.where(block.valid, gained, 0.0).sum(axis=1) / np.maximum(n_relevant, 1))


def _hits_at(hits: Floats, k: Integers | int) -> Floats:
    """Expected hits among the first k places (Q,); all of them where k passes the last candidate."""
    column = np.broadcast_to(np.clip(np.asarray(k) - 1, 0, hits.shape[1] - 1), hits.shape[:1])
    return np.take_along_axis(hits, column[:, None], axis=1)[:, 0]


def _first_hit(block: _Sorted, length: int) -> tuple[Floats, Floats]:
    """Chance that the first hit lies within 1..length (B, length), and the expected reciprocal rank (B,)."""
    curve = np.zeros((len(block.size), length))
    reciprocal = np.zeros(len(block.size))
    first = np.argmax(block.inside > 0, axis=1)  # the first place of the first tie that holds a hit
    for query in np.flatnonzero((block.inside > 0).any(axis=1)):
        column = int(first[query])
        size, hits = int(block.size[query, column]), int(block.inside[query, column])
        drawn = np.arange(size - hits + 1)
        missed = np.cumprod((size - hits - drawn) / (size - drawn))  # no hit in the first drawn + 1 of the tie
        chance = np.diff(1 - missed, prepend=0.0)
        reciprocal[query] = (chance / (column + 1 + drawn)).sum()
        curve[query, column:] = 1.0
        shown = min(len(missed), max(0, length - column))
        curve[query, column : column + shown] = 1 - missed[:shown]
    return curve, reciprocal


def _block_metrics(
    scores: Floats, relevant: Flags, excluded: Flags, ks: Sequence[int], length: int
) -> tuple[dict[str, Floats], Floats, Integers, Integers]:
    block = _sort(scores, relevant, excluded)
    n_relevant = (relevant & ~excluded).sum(axis=1)
    n_candidates = (~excluded).sum(axis=1)
    hits = block.expected_hits
    divisor = np.maximum(n_relevant, 1)
    curve, reciprocal = _first_hit(block, length)
    found = {k: _hits_at(hits, k) for k in ks}
    values = {"mAP": _average_precision(block, n_relevant)}
    values |= {f"P@{k}": found[k] / k for k in ks}
    values |= {f"R@{k}": found[k] / divisor for k in ks}
    values |= {f"cmc@{k}": curve[:, k - 1] for k in ks}
    values["r_precision"] = _hits_at(hits, divisor) / divisor
    values["MRR"] = reciprocal
    return values, curve, n_relevant, n_candidates


def retrieval_metrics(
    scores: ArrayLike,
    relevant: ArrayLike,
    excluded: ArrayLike | None = None,
    ks: Sequence[int] = (1, 5, 10),
    empty: EmptyPolicy = "exclude",
    cmc_length: int = 50,
) -> RankingMetrics:
    """Every retrieval metric of every query, ties taken in expectation.

    P@k divides by k even where fewer candidates exist, R@k by all relevant candidates, AP by all relevant candidates.

    Args:
        scores: Scores (Q, M), finite; higher = more similar.
        relevant: Which candidates are relevant (Q, M).
        excluded: Which candidates do not take part (Q, M); none by default.
        ks: Cut-offs, each at least 1.
        empty: What a query without a relevant candidate gets: `exclude` (NaN, counted), `zero`, or `raise`.
        cmc_length: Places of the cumulative match curve (at least max(ks) are kept).

    Returns:
        Per-query values; memory beyond the result is bounded by working in blocks of queries.

    Raises:
        ValueError: Shapes differ, a score is not finite, a cut-off is below 1, or `raise` and a query is empty.
    """
    array = finite_scores(scores, 2)
    hits = np.asarray(relevant, dtype=np.bool_)
    mask = np.zeros(array.shape, dtype=np.bool_) if excluded is None else np.asarray(excluded, dtype=np.bool_)
    if hits.shape != array.shape or mask.shape != array.shape:
        raise ValueError(f"shapes differ: scores {array.shape}, relevant {hits.shape}, excluded {mask.shape}")
    if 0 in array.shape or not ks or min(ks) < 1:
        raise ValueError(f"nothing to rank: scores {array.shape}, ks {tuple(ks)}")
    length = max(cmc_length, *ks)
    rows = max(1, _BLOCK_CELLS // array.shape[1])
    parts = [
        _block_metrics(array[i : i + rows], hits[i : i + rows], mask[i : i + rows], ks, length)
        for i in range(0, len(array), rows)
    ]
    values = {key: np.concatenate([part[0][key] for part in parts]) for key in parts[0][0]}
    curve, n_relevant, n_candidates = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
    return _with_policy(values, curve, n_relevant, n_candidates, empty)


def _with_policy(
    values: dict[str, Floats], curve: Floats, n_relevant: Integers, n_candidates: Integers, policy: EmptyPolicy
) -> RankingMetrics:
    empty = n_relevant == 0
    if policy == "raise" and empty.any():
        raise ValueError(f"{int(empty.sum())} queries have no relevant candidate")
    if policy == "exclude":
        values = {key: np.where(empty, np.nan, value) for key, value in values.items()}
        curve = np.where(empty[:, None], np.nan, curve)
    return RankingMetrics(values, curve, n_relevant, n_candidates, int(empty.sum()))


def macro_mean(values: ArrayLike, classes: ArrayLike) -> tuple[float, int]:
    """Mean over classes of the class means, NaN values left out.

    Args:
        values: Per-query values (Q,).
        classes: Class of each query (Q,).

    Returns:
        The macro mean (NaN where no query counts), and the number of classes with queries that count.
    """
    array = np.asarray(values, dtype=np.float64)
    keep = ~np.isnan(array)
    if not keep.any():
        return float("nan"), 0
    _, inverse = np.unique(np.asarray(classes)[keep], return_inverse=True)
    means = np.bincount(inverse, weights=array[keep]) / np.bincount(inverse)
    return float(means.mean()), len(means)
