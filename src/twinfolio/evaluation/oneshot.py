"""N-way K-shot trials scored and counted: right where the query's own class scores highest; ties share the credit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinfolio.evaluation.arrays import Floats, finite_scores
from twinfolio.evaluation.bootstrap import Interval, bootstrap_interval, percentiles, wilson_interval
from twinfolio.evaluation.trials import Trials

Pairwise = Callable[[NDArray[np.float32], NDArray[np.float32]], ArrayLike]
"""Scores (n, m), higher = more similar, of embeddings (n, D) with embeddings (m, D)."""
Support = Literal["score", "embedding"]
"""What is averaged over a class's K images: their scores with the query, or their embeddings."""


def trial_scores(
    trials: Trials,
    embeddings: Sequence[NDArray[np.float32]] | NDArray[np.float32],
    pairwise: Pairwise,
    support: Support = "score",
    unit: bool = False,
) -> Floats:
    """Score (T, N) of each trial's query with each of its classes.

    Args:
        trials: The trials.
        embeddings: Of each image, by number: (D,), or (t, D) of its tiles, over which scores are averaged.
        pairwise: The model's scores.
        support: What is averaged over a class's K images; the same for K = 1.
        unit: Embeddings lie on the unit sphere; a mean of them is put back on it.
    """
    tiles = [np.atleast_2d(one) for one in embeddings]
    scores = np.empty((len(trials), trials.ways))
    for row, (query, shown) in enumerate(zip(trials.queries, trials.support, strict=True)):
        if support == "embedding":
            parts = [_mean_of([tiles[image] for image in images], unit) for images in shown]
        else:
            parts = [tiles[image] for image in shown.ravel()]
        pairs = np.asarray(pairwise(tiles[query], np.concatenate(parts)), np.float64).mean(axis=0)
        lengths = np.array([len(part) for part in parts])
        of_parts = np.add.reduceat(pairs, np.cumsum(lengths) - lengths) / lengths
        scores[row] = of_parts.reshape(trials.ways, -1).mean(axis=1)
    return scores


def _mean_of(images: Sequence[NDArray[np.float32]], unit: bool) -> NDArray[np.float32]:
    """The mean (1, D) of images, each the mean of its tiles."""
    mean = np.mean([one.mean(axis=0) for one in images], axis=0, keepdims=True)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12) if unit else mean)


def trial_credit(scores: ArrayLike, answers: ArrayLike) -> Floats:
    """Credit (T,) of each trial: 1 where the answer scores highest, 1 / n where it ties with n - 1 others, else 0.

    A constant scorer so gets 1 / N, wherever the answers lie.

    Args:
        scores: (T, N).
        answers: (T,) positions.

    Raises:
        ValueError: A score is NaN or infinite.
    """
    array = finite_scores(scores, 2)
    highest = array == array.max(axis=1, keepdims=True)
    right = highest[np.arange(len(array)), np.asarray(answers, np.int64)]
    return np.asarray(right / highest.sum(axis=1))


@dataclass(frozen=True)
class Accuracy:
    """Share of trials that are right.

    Attributes:
        trials: How many.
        accuracy: Mean credit.
        interval: Wilson's, a trial for a trial; ties count by their share.
    """

    trials: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True)
class OneShotReport:
    """The accuracy of one model on one set of trials.

    Attributes:
        whole: Over all trials.
        over_families: Interval of the same mean where families, not trials, are drawn anew; NaN for one family.
        families: Family -> its accuracy, in alphabetical order.
    """

    whole: Accuracy
    over_families: Interval
    families: dict[str, Accuracy]


def oneshot_report(credit: ArrayLike, families: ArrayLike, seed: int = 0) -> OneShotReport:
    """Accuracy over all trials and by family.

    Args:
        credit: (T,) of each trial.
        families: (T,) family of each trial.
        seed: Of the bootstrap over families.
    """
    values, names = np.asarray(credit, np.float64), np.asarray(families, np.str_)
    of_families = {str(name): _accuracy(values[names == name]) for name in np.unique(names)}
    return OneShotReport(_accuracy(values), bootstrap_interval(values, names, seed=seed), of_families)


def _accuracy(credit: Floats) -> Accuracy:
    mean = float(credit.mean()) if len(credit) else float("nan")
    return Accuracy(len(credit), mean, wilson_interval(float(credit.sum()), len(credit)))


def crossed_interval(
    credit: ArrayLike, families: ArrayLike, n: int = 5000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Interval of the mean over trials and seeds, both drawn anew: families of trials, and trainings.

    The pigeonhole bootstrap (Owen 2007) of a crossed design; of one training only the families are drawn.

    Args:
        credit: (S, T), a row a training.
        families: (T,) family of each trial.
        n: Resamples.
        seed: Of the resamples.
        confidence: Coverage.

    Returns:
        The percentile interval; NaN for fewer than two families.
    """
    values = np.asarray(credit, np.float64)
    names, of = np.unique(np.asarray(families, np.str_), return_inverse=True)
    if len(names) < 2:
        return Interval(float("nan"), float("nan"))
    member = np.eye(len(names))[of]
    sums, counts = values @ member, member.sum(axis=0)
    generator = np.random.default_rng(seed)
    trained = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), size=n)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n)
    means = np.einsum("ns,sf,nf->n", trained, sums, drawn) / (len(values) * (drawn @ counts))
    return percentiles(means, confidence)
