"""The classical systems as systems like any other: they embed images and score the vectors."""

from __future__ import annotations

from typing import Literal

import numpy as np

from twinfolio.assessment.systems import Scoring, System
from twinfolio.descriptors.encoder import Encoder
from twinfolio.descriptors.hashing import hash_scores
from twinfolio.evaluation.baselines import cosine_scores

BagDistance = Literal["l1", "l2", "cosine"]


def classical_system(encoder: Encoder, distance: BagDistance = "cosine") -> System:
    """An encoder and how its vectors are compared.

    Args:
        encoder: A fitted one.
        distance: Of bags of words; VLAD is compared by cosine and hashes by Hamming's distance, whatever is asked for.
    """
    if encoder.bags is None:
        return System(encoder.spec.name, encoder, hash_scores)
    if encoder.spec.encoding == "vlad":
        return System(encoder.spec.name, encoder, cosine_scores)
    return System(encoder.spec.name, encoder, bag_scoring(distance))


def bag_scoring(distance: BagDistance) -> Scoring:
    """Scores of bags of words: shares of sum 1 by l1, of norm 1 by l2 (which orders as cosine does), or cosine.

    Args:
        distance: ``l1``, ``l2`` or ``cosine``.
    """
    if distance == "cosine":
        return cosine_scores
    from scipy.spatial.distance import cdist

    # an image without a key point is as far from any other as two without a common word
    order, metric, furthest = (1, "cityblock", 2.0) if distance == "l1" else (2, "euclidean", 2**0.5)

    def scores(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        sides = [np.asarray(vectors, np.float64) for vectors in (query, gallery)]
        norms = [np.linalg.norm(side, ord=order, axis=1) for side in sides]
        q, g = (side / np.where(norm > 0, norm, 1)[:, None] for side, norm in zip(sides, norms, strict=True))
        far = (norms[0] == 0)[:, None] | (norms[1] == 0)
        return np.asarray(np.where(far, -furthest, -cdist(q, g, metric)))

    return scores
