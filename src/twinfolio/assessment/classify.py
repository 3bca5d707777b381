"""Classification of images: by a class layer, or by the labels of the nearest gallery images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinfolio.assessment.images import ImageSet, image_values
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.systems import System
from twinfolio.evaluation.classification import ClassificationReport, classification_report
from twinfolio.evaluation.reports import classification_summary
from twinfolio.evaluation.retrieval_protocol import Items
from twinfolio.retrieval.ranking import Ranking


@dataclass(frozen=True)
class Classified:
    """Classes given to the images of a split.

    Attributes:
        report: Counts and per-class values.
        said: (N,) the class given to each image.
        values: Accuracy, macro and weighted means, each with ``_low`` and ``_high``; ``n_classes`` with images.
    """

    report: ClassificationReport
    said: np.ndarray
    values: dict[str, float]


def class_probabilities(system: System, vectors: np.ndarray, of: ImageSet) -> np.ndarray | None:
    """The class layer's probabilities (N, C) of images; None without one."""
    return None if system.classify is None else image_values(system.classify(vectors), of)


def classified(probabilities: np.ndarray, items: Items, resampling: Resampling) -> Classified:
    """Score probabilities (N, n_classes) against the images' labels."""
    said = probabilities.argmax(axis=1)
    report = classification_report(items.labels, said, probabilities.shape[1])
    how = (resampling.n, resampling.seed, resampling.confidence)
    return Classified(report, said, classification_summary(probabilities, items.labels, items.groups, *how))


def nearest_votes(ranking: Ranking, gallery_labels: np.ndarray, n_classes: int, k: int) -> np.ndarray:
    """Shares of the k nearest gallery images that each class has; among equal shares the nearer image decides.

    Args:
        ranking: Of Q queries.
        gallery_labels: (M,) classes.
        n_classes: Number of classes.
        k: Neighbours.

    Returns:
        (Q, n_classes) shares, plus less than a vote in favour of nearer neighbours.
    """
    ids = ranking.ids[:, :k]
    places = ids.shape[1]
    # all bonuses together stay below one vote, and a nearer one outweighs all later ones
    weights = (1 + 0.25 * 0.5 ** np.arange(places)) * (ids >= 0)
    votes = np.zeros((len(ids), n_classes))
    np.add.at(votes, (np.arange(len(ids))[:, None], gallery_labels[np.maximum(ids, 0)]), weights)
    return np.asarray(votes / places)
