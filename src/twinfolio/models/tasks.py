"""What a Siamese model is validated by: retrieval of its own classes, one-shot trials on new ones, judged pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twinfolio.evaluation.arrays import Floats
from twinfolio.evaluation.oneshot import trial_credit
from twinfolio.evaluation.ranking_metrics import retrieval_metrics
from twinfolio.evaluation.retrieval_protocol import average_tiles
from twinfolio.evaluation.trials import Trials
from twinfolio.models.heads import PairScorer

_NUMBERS = 8_000_000
"""Most numbers of a block of pairs of embeddings: 32 MiB of float32."""


class ValidationTask(Protocol):
    """A mean over queries or trials, which early stopping and the best checkpoint watch.

    Attributes:
        monitor: The metric's name.
        groups: (Q,) group of each query or trial, the unit its bootstrap draws anew.
    """

    monitor: ClassVar[str]

    @property
    def groups(self) -> NDArray[np.str_]:
        """See above."""

    def values(self, head: PairScorer, embeddings: Sequence[Tensor]) -> Floats:
        """The value (Q,) of each query or trial; NaN where it has none.

        Args:
            head: The model's.
            embeddings: (n, D) of each validation loader's rows.
        """


def mean_value(values: Floats) -> float:
    """Mean of the values that are numbers; 0 where none is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


@dataclass(frozen=True)
class RetrievalTask:
    """Which validation query may find what in the gallery; scores are averaged over the tiles of an image.

    Args:
        query_sources: (q,) image number of each query row.
        gallery_sources: (m,) image number of each gallery row.
        relevant: (Q, M) pairs of images of one class.
        excluded: (Q, M) pairs of images of one group or duplicate cluster, which do not count.
        groups: (Q,) group of each query image.
    """

    monitor: ClassVar[str] = "val/retrieval/mAP"
    query_sources: NDArray[np.int64]
    gallery_sources: NDArray[np.int64]
    relevant: NDArray[np.bool_]
    excluded: NDArray[np.bool_]
    groups: NDArray[np.str_]

    def values(self, head: PairScorer, embeddings: Sequence[Tensor]) -> Floats:
        """Each query image's AP (Q,), ties taken in expectation; NaN where it has nothing to find.

        Args:
            head: The model's.
            embeddings: (q, D) of the query rows and (m, D) of the gallery rows.
        """
        with torch.inference_mode():
            scores = head.pairwise(*embeddings).float().cpu().numpy()
        return self.average_precisions(scores)

    def average_precisions(self, scores: NDArray[np.float32]) -> Floats:
        """The same from scores (q, m) of the rows, higher = more similar."""
        averaged = average_tiles(scores, self.query_sources, self.gallery_sources)
        return retrieval_metrics(averaged, self.relevant, self.excluded, ks=(1,)).per_query["mAP"]


@dataclass(frozen=True)
class OneShotTask:
    """One-shot trials among validation images, whose classes training never sees.

    Args:
        trials: Over image numbers; every image is one row.
    """

    monitor: ClassVar[str] = "val/oneshot/accuracy"
    trials: Trials

    @property
    def groups(self) -> NDArray[np.str_]:
        """The family of each trial; its query, where all are of one family."""
        several = len(np.unique(self.trials.families)) > 1
        return self.trials.families if several else self.trials.queries.astype(np.str_)

    def values(self, head: PairScorer, embeddings: Sequence[Tensor]) -> Floats:
        """Each trial's credit (T,); ties share it.

        Args:
            head: The model's.
            embeddings: One tensor (M, D), a row an image, in the order of their numbers.
        """
        (images,) = embeddings
        return trial_credit(head_scores(head, images, self.trials), self.trials.answers)


@dataclass(frozen=True)
class JudgedTask:
    """How near the similarities of judged pairs come to the judgments.

    The mean of ``values`` is 1 minus the mean squared error, so that more is better, as it is of all tasks.

    Args:
        pairs: (P, 2) positions in the validation rows.
        targets: (P,) judgments, 0 to 1.
        groups: (P,) place of each pair's query.
    """

    monitor: ClassVar[str] = "val/judged/closeness"
    pairs: NDArray[np.int64]
    targets: NDArray[np.float32]
    groups: NDArray[np.str_]

    def values(self, head: PairScorer, embeddings: Sequence[Tensor]) -> Floats:
        """1 minus the squared error (P,) of each pair.

        Args:
            head: What gives similarities between 0 and 1.
            embeddings: One tensor (n, D), a row an image.
        """
        (images,) = embeddings
        with torch.inference_mode():
            rows = torch.from_numpy(self.pairs).to(images.device)
            said = head.paired(images[rows[:, 0]], images[rows[:, 1]]).double().cpu().numpy()
        return np.asarray(1 - (said - self.targets) ** 2)


def head_scores(head: PairScorer, embeddings: Tensor, trials: Trials) -> Floats:
    """Score (T, N) of each trial's query with each of its classes by a head, averaged over K images; in blocks.

    Args:
        head: The model's.
        embeddings: (M, D) on the head's device.
        trials: Over the rows.
    """
    shown = trials.support.reshape(len(trials), -1)
    block = max(1, _NUMBERS // max(1, shown.shape[1] * embeddings.shape[1]))
    scores = []
    with torch.inference_mode():
        for start in range(0, len(trials), block):
            rows = torch.from_numpy(shown[start : start + block]).to(embeddings.device)
            queries = torch.from_numpy(trials.queries[start : start + block]).to(embeddings.device)
            x = embeddings[queries.repeat_interleave(rows.shape[1])]
            scores.append(head.paired(x, embeddings[rows.flatten()]).double().cpu().numpy())
    return np.asarray(np.concatenate(scores).reshape(trials.support.shape).mean(axis=2))
