"""One system on one split, in the protocol all systems share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from twinfolio.assessment.images import first_answers
from twinfolio.evaluation.pairs import pair_groups, pair_scores
from twinfolio.evaluation.reports import retrieval_report, verification_report
from twinfolio.evaluation.retrieval_protocol import Items, RetrievalResult, retrieval_protocol
from twinfolio.evaluation.significance import paired_difference, paired_permutation_test, sign_test
from twinfolio.evaluation.streaming import Scores
from twinfolio.evaluation.verification import accept
from twinfolio.retrieval.ranking import Ranking

ANSWERS = 10
"""Answers a query that are kept."""
Decision = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, float]]
"""Scores, labels and query groups of the pairs -> accepted pairs, and the threshold to report."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made: groups are drawn with replacement.

    Attributes:
        n: Resamples.
        seed: Their seed; equal groups and seed give equal resamples, so that systems are compared pairwise.
        confidence: Coverage.
    """

    n: int = 1000
    seed: int = 0
    confidence: float = 0.95


class Contrast(NamedTuple):
    """The paired difference of two systems.

    Attributes:
        difference: Mean of the first minus mean of the second.
        low: Lower end of its interval.
        high: Upper end.
        p: Of the permutation test, which exchanges whole groups.
        sign_p: Of the exact sign test over queries; it takes them as independent.
        wins: Queries on which the first is better.
        losses: Queries on which it is worse; the others are ties.
    """

    difference: float
    low: float
    high: float
    p: float
    sign_p: float
    wins: int
    losses: int

    @property
    def tie(self) -> bool:
        """Whether the interval includes 0 (or cannot be made)."""
        return not (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Judgement:
    """What one system did on one split.

    Attributes:
        name: The system's.
        pretrained: Whether its trunk started from ImageNet weights; None without a trunk.
        answers: The first images of each query, its own group left out.
        retrieval: Rankings with the query's own group left out.
        retrieval_values: Its means, each with ``_low`` and ``_high``.
        pair_scores: (P,) of the frozen pairs.
        correct: (P,) bool, pairs decided rightly.
        threshold: Chosen on validation.
        verification_values: Counts and everything derived from them, each with ``_low`` and ``_high``.
    """

    name: str
    pretrained: bool | None
    answers: Ranking
    retrieval: RetrievalResult
    retrieval_values: dict[str, float]
    pair_scores: np.ndarray
    correct: np.ndarray
    threshold: float
    verification_values: dict[str, float]

    @property
    def average_precision(self) -> np.ndarray:
        """(Q,) AP of each query; not a number where nothing is relevant."""
        return np.asarray(self.retrieval.metrics.per_query["mAP"])


def judge(
    name: str,
    pretrained: bool | None,
    scores: Scores,
    queries: Items,
    gallery: Items,
    pairs: pd.DataFrame,
    decide: Decision,
    resampling: Resampling,
) -> Judgement:
    """Judge one system's scores.

    Args:
        name: The system's.
        pretrained: See ``Judgement``.
        scores: Of any queries with any gallery images, higher = more similar.
        queries: Q images.
        gallery: M images.
        pairs: ``query, archive, label``: the same for all systems.
        decide: Turns pair scores into decisions.
        resampling: How intervals are made.
    """
    how = (resampling.n, resampling.seed, resampling.confidence)
    retrieval = retrieval_protocol(scores, queries, gallery)
    of_pairs = pair_scores(pairs, scores, queries.ids, gallery.ids)
    labels, groups = pairs["label"].to_numpy().astype(bool), pair_groups(pairs, queries)
    accepted, threshold = decide(of_pairs, labels, groups)
    values = verification_report(of_pairs, labels, None, groups, *how, predictions=accepted)
    return Judgement(
        name=name,
        pretrained=pretrained,
        answers=first_answers(scores, queries, gallery, ANSWERS),
        retrieval=retrieval,
        retrieval_values=retrieval_report(retrieval, *how),
        pair_scores=of_pairs,
        correct=accepted == labels,
        threshold=threshold,
        verification_values={**values, "threshold": threshold},
    )


def fixed(threshold: float) -> Decision:
    """Decisions by a threshold from validation."""
    return lambda scores, labels, groups: (accept(scores, threshold), threshold)


def contrast(a: np.ndarray, b: np.ndarray, groups: np.ndarray, resampling: Resampling) -> Contrast:
    """Mean of ``a`` minus mean of ``b`` over the same queries or pairs, resampled and exchanged in whole groups.

    Args:
        a: (N,) values of one system; not a number leaves an entry out.
        b: (N,) values of the other.
        groups: (N,) what is drawn and exchanged.
        resampling: How.
    """
    difference = paired_difference(a, b, groups, resampling.n, resampling.seed, resampling.confidence)
    sign_p, wins, losses, _ = sign_test(a, b)
    return Contrast(*difference, paired_permutation_test(a, b, groups, seed=resampling.seed), sign_p, wins, losses)
