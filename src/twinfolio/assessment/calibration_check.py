"""Probabilities, class sets and the threshold for unknown classes, held to account on test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinfolio.assessment.calibration import Calibration, PairSample, all_pairs, class_evidence
from twinfolio.assessment.judgement import Resampling
from twinfolio.evaluation.calibration import (
    Calibrator,
    Reliability,
    ece_interval,
    reliability,
    shift_prior,
    tempered,
)
from twinfolio.evaluation.conformal import coverage_report
from twinfolio.evaluation.retrieval_protocol import Items
from twinfolio.evaluation.streaming import Scores
from twinfolio.retrieval.ranking import Ranking


@dataclass(frozen=True)
class CalibrationCheck:
    """How the fits hold on test.

    Attributes:
        values: ``ece``, ``ece_before`` (the raw logit through a sigmoid), ``ece_answers`` (the first ten answers of
            each query), ``ece_balanced`` (the verification pairs, half of them of one class, under that prior),
            ``ece_classes`` where there is a class layer, ``coverage`` and ``set_size``, each with ``_low`` and
            ``_high``.
        diagrams: Name -> predicted against observed.
    """

    values: dict[str, float]
    diagrams: dict[str, Reliability]


def check_calibration(
    calibration: Calibration,
    scores: Scores,
    queries: Items,
    gallery: Items,
    balanced: PairSample,
    answers: Ranking,
    probabilities: np.ndarray | None,
    resampling: Resampling,
) -> CalibrationCheck:
    """Hold the fits to account on test.

    Args:
        calibration: Fitted on validation.
        scores: Of any queries with any gallery images.
        queries: Test images.
        gallery: The gallery.
        balanced: The frozen verification pairs.
        answers: The first answers of each query.
        probabilities: Class probabilities (Q, C); None without a class layer.
        resampling: How intervals are made.
    """
    every = all_pairs(scores, queries, gallery, resampling.seed)
    filled = answers.filled
    found = gallery.labels[np.maximum(answers.ids, 0)] == queries.labels[:, None]
    first = PairSample(answers.scores[filled], found[filled], np.repeat(queries.groups, filled.sum(1)))
    fitted = calibration.pairs
    judged: dict[str, tuple[np.ndarray, PairSample]] = {
        "ece": (fitted(every.scores), every),
        "ece_before": (Calibrator("logistic", (1.0, 0.0))(every.scores), every),
        "ece_answers": (fitted(first.scores), first),
        "ece_balanced": (shift_prior(fitted(balanced.scores), calibration.prior, balanced.labels.mean()), balanced),
    }
    if probabilities is not None and calibration.temperature is not None:
        sure = tempered(probabilities, calibration.temperature)
        right = sure.argmax(1) == queries.labels
        judged["ece_classes"] = (sure.max(1), PairSample(sure.max(1), right, queries.groups))
    values: dict[str, float] = {}
    for name, (predicted, sample) in judged.items():
        how = (resampling.n, resampling.seed, resampling.confidence)
        value, interval = ece_interval(predicted, sample.labels, sample.groups, *how)
        values |= {name: value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    diagrams = {name: reliability(predicted, sample.labels) for name, (predicted, sample) in judged.items()}
    evidence = class_evidence(fitted, scores, queries, gallery)
    sets = calibration.conformal.sets(evidence.probabilities)
    how = (resampling.n, resampling.seed, resampling.confidence)
    values |= coverage_report(sets, evidence.own, evidence.groups, *how)
    return CalibrationCheck(values, diagrams)
