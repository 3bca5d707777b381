"""What a score is worth: probabilities, class sets and a threshold for unknown classes, fitted on validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from twinfolio.evaluation.calibration import Calibrator, choose_calibrator, fit_temperature, threshold_at_fmr
from twinfolio.evaluation.conformal import Conformal, fit_conformal
from twinfolio.evaluation.open_set import best_scores
from twinfolio.evaluation.retrieval_protocol import Items, exclusions, relevance
from twinfolio.evaluation.streaming import Scores

_PAIRS = 2_000_000
"""Pairs a fit or a check takes at most: a random part of the queries and of the gallery where there are more."""
_BLOCK_CELLS = 1_000_000


@dataclass(frozen=True)
class CalibrationSettings:
    """What the fits promise.

    Attributes:
        false_match_rate: Share of queries of unknown classes that may pass for known.
        coverage: Share of queries whose class must be in their set.
        folds: Folds over query groups in the choice of the calibrator.
        seed: Of folds and samples.
    """

    false_match_rate: float = 0.05
    coverage: float = 0.9
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Calibration:
    """The fits of one system on validation.

    Attributes:
        pairs: Score -> probability that both images are of one class, among all admissible pairs.
        prior: Share of such pairs there.
        losses: Each method's cross-fitted log loss, behind the choice.
        temperature: Divides the class logits; None without a class layer.
        unknown: Best score, before re-ranking, below which a query is of none of the known classes.
        false_match_rate: What ``unknown`` promises.
        unknown_classes: Classes held out of training that it rests on; 0: known classes, each left out of the gallery.
        conformal: Cut on the calibrated probability of a class's best image.
    """

    pairs: Calibrator
    prior: float
    losses: dict[str, float]
    temperature: float | None
    unknown: float
    false_match_rate: float
    unknown_classes: int
    conformal: Conformal

    def to_json(self) -> dict[str, Any]:
        """Plain values, as ``calibration.json`` holds them."""
        # with a single group of queries there is nothing to cross-fit
        losses = {method: loss if math.isfinite(loss) else None for method, loss in self.losses.items()}
        return {
            "pairs": self.pairs.to_json() | {"prior": self.prior, "log_loss": losses},
            "classes": None if self.temperature is None else {"temperature": self.temperature},
            "unknown": {
                "threshold": self.unknown,
                "false_match_rate": self.false_match_rate,
                "classes": self.unknown_classes,
            },
            "conformal": vars(self.conformal),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A calibration of ``to_json``."""
        pairs, classes, unknown = values["pairs"], values["classes"], values["unknown"]
        return cls(
            pairs=Calibrator.from_json(pairs),
            prior=pairs["prior"],
            losses={method: math.inf if loss is None else loss for method, loss in pairs["log_loss"].items()},
            temperature=None if classes is None else classes["temperature"],
            unknown=unknown["threshold"],
            false_match_rate=unknown["false_match_rate"],
            unknown_classes=unknown["classes"],
            conformal=Conformal(**values["conformal"]),
        )


@dataclass(frozen=True)
class Impostors:
    """Queries that must find nothing.

    Attributes:
        scores: The best score of each, before re-ranking (N,); -inf where it may find nothing at all.
        classes: Classes held out of training that they are of; 0: of known classes, each left out of the gallery.
    """

    scores: np.ndarray
    classes: int


@dataclass(frozen=True)
class PairSample:
    """Scored pairs of queries with gallery images.

    Attributes:
        scores: (P,).
        labels: (P,) bool, both of one class.
        groups: (P,) the query's group.
    """

    scores: np.ndarray
    labels: np.ndarray
    groups: np.ndarray


def calibrate(
    scores: Scores,
    impostors: Impostors,
    queries: Items,
    gallery: Items,
    probabilities: np.ndarray | None,
    settings: CalibrationSettings,
) -> Calibration:
    """Fit everything on validation.

    Args:
        scores: Of any queries with any gallery images.
        impostors: What the threshold for unknown classes is set on.
        queries: Validation images.
        gallery: Training images.
        probabilities: Class probabilities (Q, C) of the queries; None without a class layer.
        settings: What is promised.
    """
    sample = all_pairs(scores, queries, gallery, settings.seed)
    calibrator, losses = choose_calibrator(sample.scores, sample.labels, sample.groups, settings.folds, settings.seed)
    best = impostors.scores[np.isfinite(impostors.scores)]
    evidence = class_evidence(calibrator, scores, queries, gallery)
    return Calibration(
        pairs=calibrator,
        prior=float(sample.labels.mean()),
        losses=losses,
        temperature=None if probabilities is None else fit_temperature(probabilities, queries.labels),
        unknown=threshold_at_fmr(best, np.zeros(len(best), bool), settings.false_match_rate),
        false_match_rate=settings.false_match_rate,
        unknown_classes=impostors.classes,
        conformal=fit_conformal(evidence.probabilities, evidence.own, evidence.groups, settings.coverage),
    )


@dataclass(frozen=True)
class ClassEvidence:
    """What speaks for each class: the calibrated probability of its best image.

    Attributes:
        probabilities: (Q, C) over the gallery's classes; 0 where a query may find no image of the class.
        own: (Q,) column of each query's class.
        groups: (Q,) the queries' groups.
    """

    probabilities: np.ndarray
    own: np.ndarray
    groups: np.ndarray


def class_evidence(calibrator: Calibrator, scores: Scores, queries: Items, gallery: Items) -> ClassEvidence:
    """The evidence of the queries that may find an image of their class; for the others no set can be right.

    Args:
        calibrator: From score to probability.
        scores: Of any queries with any gallery images.
        queries: Known images.
        gallery: The gallery.
    """
    best = best_scores(scores, queries, gallery)
    kept = best.mated(queries.labels)
    finite = np.isfinite(best.scores[kept])
    probabilities = np.where(finite, calibrator(np.where(finite, best.scores[kept], 0)), 0.0)
    return ClassEvidence(probabilities, best.places(queries.labels)[kept], queries.groups[kept])


def all_pairs(scores: Scores, queries: Items, gallery: Items, seed: int = 0, limit: int = _PAIRS) -> PairSample:
    """All admissible pairs, own group excluded; of a random part of both sides where there are more than ``limit``.

    Args:
        scores: Of any queries with any gallery images.
        queries: Q images.
        gallery: M images.
        seed: Of the part.
        limit: Pairs at most.
    """
    generator = np.random.default_rng(seed)
    side = int(np.sqrt(limit))
    n_rows = min(len(queries), max(side, limit // len(gallery)))
    rows = np.sort(generator.permutation(len(queries))[:n_rows])
    columns = np.sort(generator.permutation(len(gallery))[: limit // n_rows])
    shown, step = gallery.take(columns), max(1, _BLOCK_CELLS // len(columns))
    parts = []
    for start in range(0, len(rows), step):
        here = rows[start : start + step]
        asked = queries.take(here)
        kept = ~exclusions(asked, shown, "excluded")
        groups = np.repeat(asked.groups, kept.sum(1))
        parts.append((scores(here, columns)[kept], relevance(asked, shown)[kept], groups))
    return PairSample(*(np.concatenate(part) for part in zip(*parts, strict=True)))
