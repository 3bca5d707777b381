"""Retrieval metrics of score matrices, exact under ties.

Tied candidates have no order, and sorting gives them one that depends on nothing but their rows: a constant scorer
could look good. Every value here is the expectation over all orders of the ties, from the table of `ties`.

Source: McSherry & Najork 2008, "Computing information retrieval performance measures efficiently in the presence
of tied scores"; Musgrave, Belongie & Lim 2020, "A metric learning reality check" (MAP@R).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Flags, Floats, Integers, finite_scores
from twinfolio.evaluation.candidates import Candidates
from twinfolio.evaluation.ties import TieTable, dense_ties

EmptyPolicy = Literal["exclude", "zero", "raise"]
_BLOCK_CELLS = 1_000_000


@dataclass(frozen=True)
class RankingMetrics:
    """Retrieval metrics of each query.

    Args:
        per_query: `mAP` (the query's AP), `mAP@R`, `P@k`, `R@k`, `cmc@k` (a hit within k), `nDCG`, `nDCG@k`,
            `r_precision`, `MRR` (the reciprocal rank): arrays (Q,) in [0, 1], NaN for queries left out.
        cmc_per_query: Chance of a hit within 1..K places (Q, K).
        n_relevant: Relevant candidates of each query (Q,).
        n_candidates: Candidates of each query (Q,).
    """

    per_query: dict[str, Floats]
    cmc_per_query: Floats
    n_relevant: Integers
    n_candidates: Integers

    @property
    def n_empty(self) -> int:
        """Queries without a relevant candidate."""
        return int((self.n_relevant == 0).sum())

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

    def take(self, rows: Integers) -> RankingMetrics:
        """The given queries, in that order."""
        values = {key: value[rows] for key, value in self.per_query.items()}
        return RankingMetrics(values, self.cmc_per_query[rows], self.n_relevant[rows], self.n_candidates[rows])

    @classmethod
    def join(cls, parts: Sequence[RankingMetrics]) -> RankingMetrics:
        """The queries of all parts, one part after the other."""
        values = {key: np.concatenate([part.per_query[key] for part in parts]) for key in parts[0].per_query}
        curve = np.concatenate([part.cmc_per_query for part in parts])
        relevant, candidates = ([getattr(part, name) for part in parts] for name in ("n_relevant", "n_candidates"))
        return cls(values, curve, np.concatenate(relevant), np.concatenate(candidates))

    def with_policy(self, policy: EmptyPolicy) -> RankingMetrics:
        """Queries without a relevant candidate set to NaN (`exclude`), left at `zero`, or refused (`raise`).

        Raises:
            ValueError: `raise`, and there is one.
        """
        empty = self.n_relevant == 0
        if policy == "raise" and empty.any():
            raise ValueError(f"{self.n_empty} queries have no relevant candidate")
        if policy != "exclude":
            return self
        values = {key: np.where(empty, np.nan, value) for key, value in self.per_query.items()}
        curve = np.where(empty[:, None], np.nan, self.cmc_per_query)
        return RankingMetrics(values, curve, self.n_relevant, self.n_candidates)


def metrics_of(ties: TieTable, ks: Sequence[int], cmc_length: int = 50) -> RankingMetrics:
    """Every metric of every query of a table; zeros where nothing is relevant.

    Args:
        ties: Tie blocks of Q queries.
        ks: Cut-offs, each at least 1.
        cmc_length: Places of the cumulative match curve (at least max(ks) are kept).
    """
    curve, reciprocal = ties.first_hit(max(cmc_length, *ks))
    divisor = np.maximum(ties.n_relevant, 1)
    found = {k: ties.hits_within(k) for k in ks}
    values = {
        "mAP": ties.average_precision() / divisor,
        "mAP@R": ties.average_precision(divisor) / divisor,
        **{f"P@{k}": found[k] / k for k in ks},
        **{f"R@{k}": found[k] / divisor for k in ks},
        **{f"cmc@{k}": curve[:, k - 1] for k in ks},
        "nDCG": ties.normalised_gain(),
        **{f"nDCG@{k}": ties.normalised_gain(k) for k in ks},
        "r_precision": ties.hits_within(divisor) / divisor,
        "MRR": reciprocal,
    }
    return RankingMetrics(values, curve, ties.n_relevant, ties.n_candidates)


def retrieval_metrics(
    scores: ArrayLike,
    relevant: ArrayLike,
    excluded: ArrayLike | None = None,
    ks: Sequence[int] = (1, 5, 10),
    empty: EmptyPolicy = "exclude",
    cmc_length: int = 50,
    gains: ArrayLike | None = None,
) -> RankingMetrics:
    """Every retrieval metric of every query, ties taken in expectation.

    P@k divides by k even where fewer candidates exist; R@k, AP and mAP@R divide by all relevant candidates.

    Args:
        scores: Scores (Q, M), finite; higher = more similar.
        relevant: Which candidates are relevant (Q, M).
        excluded: Which candidates do not take part (Q, M); none by default.
        ks: Cut-offs, each at least 1.
        empty: What a query without a relevant candidate gets: `exclude` (NaN, counted), `zero`, or `raise`.
        cmc_length: Places of the cumulative match curve (at least max(ks) are kept).
        gains: What nDCG gains by each candidate (Q, M), above 0 exactly where relevant; 1 by default.

    Returns:
        Per-query values; memory beyond the result is bounded by working in blocks of queries.

    Raises:
        ValueError: Shapes differ, a score or gain is not finite, gains do not fit `relevant`, a cut-off is below 1, or
            `raise` and a query is empty.
    """
    array, hits = finite_scores(scores, 2), np.asarray(relevant, dtype=np.bool_)
    mask = np.zeros(array.shape, dtype=np.bool_) if excluded is None else np.asarray(excluded, dtype=np.bool_)
    if hits.shape != array.shape or mask.shape != array.shape:
        raise ValueError(f"shapes differ: scores {array.shape}, relevant {hits.shape}, excluded {mask.shape}")
    check_size(array.shape, ks)
    worth = hits if gains is None else _checked_gains(gains, hits)
    parts = [
        metrics_of(dense_ties(array[rows], worth[rows], mask[rows]), ks, cmc_length) for rows in _blocks(array.shape)
    ]
    return RankingMetrics.join(parts).with_policy(empty)


def dense_metrics(scores: Floats, candidates: Candidates, ks: Sequence[int], cmc_length: int = 50) -> RankingMetrics:
    """`metrics_of` a matrix of scores and listed pairs: masks exist for one block of queries at a time.

    Args:
        scores: Scores (Q, M), finite; higher = more similar.
        candidates: Relevant and barred pairs of Q queries and M gallery rows.
        ks: Cut-offs, each at least 1.
        cmc_length: Places of the cumulative match curve.
    """
    check_size(scores.shape, ks)
    parts = []
    for rows in _blocks(scores.shape):
        block = scores[rows]
        relevant, barred = candidates.of(np.arange(rows.start, rows.start + len(block)))
        gains, excluded = np.zeros(block.shape), np.zeros(block.shape, dtype=np.bool_)
        gains[relevant.place, relevant.column] = relevant.gain
        excluded[barred.place, barred.column] = True
        parts.append(metrics_of(dense_ties(block, gains, excluded), ks, cmc_length))
    return RankingMetrics.join(parts)


def check_size(shape: tuple[int, ...], ks: Sequence[int]) -> None:
    """Raises ValueError where there is nothing to rank or no place to look at."""
    if 0 in shape or not ks or min(ks) < 1:
        raise ValueError(f"nothing to rank: scores {shape}, ks {tuple(ks)}")


def _blocks(shape: tuple[int, ...]) -> list[slice]:
    step = max(1, _BLOCK_CELLS // shape[1])
    return [slice(start, start + step) for start in range(0, shape[0], step)]


def _checked_gains(gains: ArrayLike, relevant: Flags) -> Floats:
    worth = np.asarray(gains, dtype=np.float64)
    if worth.shape != relevant.shape:
        raise ValueError(f"shapes differ: relevant {relevant.shape}, gains {worth.shape}")
    if not np.isfinite(worth).all() or (worth < 0).any() or ((worth > 0) != relevant).any():
        raise ValueError("gains must be finite, above 0 where a candidate is relevant and 0 elsewhere")
    return worth


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
