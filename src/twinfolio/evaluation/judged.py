"""Scores against judgments of pairs: rankings with their ceiling and chance, and how near a score is to a judgment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Flags, Floats, finite_scores
from twinfolio.evaluation.curves import auroc
from twinfolio.evaluation.ranking_metrics import RankingMetrics, retrieval_metrics

KS = (5, 10, 20, 50)
TOLERANCES = (0.1, 0.05, 0.01)


@dataclass(frozen=True)
class JudgedRanking:
    """Rankings of the maps for each query that some map answers.

    Attributes:
        metrics: Of the queries kept, ``nDCG`` with graded gain where there is one.
        kept: (N,) queries that some map answers.
        ceiling: K -> mean P@K of a perfect ranking: where fewer than K maps are relevant it is below 1.
        chance: K -> mean P@K of a random order, the share of relevant maps.
    """

    metrics: RankingMetrics
    kept: Flags
    ceiling: dict[int, float]
    chance: dict[int, float]

    @property
    def left_out(self) -> int:
        """Queries that no map answers."""
        return int((~self.kept).sum())


def judged_ranking(
    scores: ArrayLike, sim: ArrayLike, gains: ArrayLike | None = None, ks: Sequence[int] = KS
) -> JudgedRanking:
    """Rank the maps for each query.

    Args:
        scores: (N, M), higher = more similar.
        sim: (N, M) which maps show what the query shows.
        gains: (N, M) graded judgments for nDCG, 0 to 1; None: ``sim``. A relevant map without a grade gains nothing.
        ks: Cut-offs.

    Raises:
        ValueError: Shapes differ, a score is not finite, or no query has an answer.
    """
    array, relevant = finite_scores(scores, 2), np.asarray(sim, np.bool_)
    if array.shape != relevant.shape:
        raise ValueError(f"shapes differ: scores {array.shape}, sim {relevant.shape}")
    kept = np.asarray(relevant.any(axis=1))
    if not kept.any():
        raise ValueError("no query has a relevant map")
    array, relevant = array[kept], relevant[kept]
    metrics = retrieval_metrics(array, relevant, ks=ks)
    if gains is not None:
        graded = np.asarray(gains, np.float64)[kept]
        values = retrieval_metrics(array, graded > 0, ks=ks, gains=graded).per_query
        own = {name: value for name, value in values.items() if name.startswith("nDCG")}
        metrics = RankingMetrics(
            metrics.per_query | own, metrics.cmc_per_query, metrics.n_relevant, metrics.n_candidates
        )
    counts = relevant.sum(axis=1)
    return JudgedRanking(
        metrics,
        kept,
        {k: float((np.minimum(counts, k) / k).mean()) for k in ks},
        {k: float((counts / relevant.shape[1] * min(k, relevant.shape[1]) / k).mean()) for k in ks},
    )


def judged_pairs(
    predicted: ArrayLike, target: ArrayLike, relevant: ArrayLike, tolerances: Sequence[float] = TOLERANCES
) -> dict[str, float]:
    """How near predictions are to judgments (Jimenez & Szabo's accuracy within a range, and what it hides).

    Args:
        predicted: (P,) between 0 and 1.
        target: (P,) judged similarity or overlap.
        relevant: (P,) whether the pair was judged similar.
        tolerances: Ranges.

    Returns:
        ``within_<t>``, ``mae``, ``brier`` (against ``relevant``), ``auroc``, ``spearman``, ``spread`` (SD of the
        predictions: near 0 where a model says the same of every pair). NaN where one side is constant.

    Raises:
        ValueError: Lengths differ, nothing to compare, or a prediction lies outside 0 to 1.
    """
    said, truth = finite_scores(predicted, 1), finite_scores(target, 1)
    positive = np.asarray(relevant, np.bool_)
    if not len(said) or said.shape != truth.shape or said.shape != positive.shape:
        raise ValueError(f"lengths differ or are 0: {len(said)}, {len(truth)}, {len(positive)}")
    if ((said < 0) | (said > 1)).any():
        raise ValueError("predictions must lie between 0 and 1")
    off = np.abs(said - truth)
    both = bool(positive.any() and not positive.all())
    return {
        **{f"within_{tolerance:g}": float((off < tolerance).mean()) for tolerance in tolerances},
        "mae": float(off.mean()),
        "brier": float(((said - positive) ** 2).mean()),
        "auroc": auroc(said, positive) if both else float("nan"),
        "spearman": _spearman(said, truth),
        "spread": float(said.std()),
    }


def _spearman(a: Floats, b: Floats) -> float:
    from scipy.stats import spearmanr

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)
