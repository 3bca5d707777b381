"""Queries against an index: the images most like this one, and how sure one may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import DataError
from twinfolio.retrieval.index import Index
from twinfolio.retrieval.scorers import Floats, Scorer
from twinfolio.retrieval.search import NEAR_TIE, settle
from twinfolio.serving.certainty import Certainty

_WIDER = 4
SMALL = 1 << 22
"""Numbers in a gallery, times the query's tiles, up to which every image is scored by the head's definition."""


class Proposes(Protocol):
    """An approximate search."""

    candidates_a_place: int
    """Rows it must give for each that is wanted, so that the best are among them."""

    def candidates(self, queries: Floats, places: int) -> NDArray[np.int64]:
        """Rows (T, places) likely to be the nearest to queries (T, D); -1 where it finds fewer."""


@dataclass(frozen=True)
class Answer:
    """One image that was found.

    Attributes:
        image_id: Its name in the index.
        path: Its file as ``Rows.path`` has it; empty where it is not known.
        label: Its class; empty where it has none.
        score: The head's logit, the mean over the tiles of both images.
        probability: That both are of one class; None where the model is not calibrated.
    """

    image_id: str
    path: str
    label: str
    score: float
    probability: float | None


@dataclass(frozen=True)
class Reply:
    """What the index says to one query.

    Attributes:
        answers: Best first.
        available: Images that could be found: all, less those left out of this query.
        known: Whether the best score passes the threshold for known classes; None where there is none.
        classes: Class and probability of its best image, best first, of the set that is promised to hold the right
            class; None where the model has no such promise.
    """

    answers: list[Answer]
    available: int
    known: bool | None = None
    classes: list[tuple[str, float]] | None = None


class Searcher:
    """An index ready to be asked, again and again.

    Args:
        index: The index.
        scorer: The model's head against the index's vectors.
        certainty: The model's calibration.
        backend: An approximate search; None: the scorer's exact one.

    Raises:
        DataError: The index is empty.
    """

    def __init__(
        self, index: Index, scorer: Scorer, certainty: Certainty | None = None, backend: Proposes | None = None
    ) -> None:
        if not len(index):
            raise DataError(f"{index.name}: the index is empty", "add images: twinfolio index add FOLDER")
        self.index, self.scorer, self.certainty = index, scorer, certainty or Certainty()
        self.backend = backend
        self.ids, first, self.image_of_row = np.unique(index.rows.image_id, return_index=True, return_inverse=True)
        self.images = index.rows[first]
        self.of_content: dict[str, list[int]] = {}
        for image, content in enumerate(self.images.content):
            if content:
                self.of_content.setdefault(content, []).append(image)
        self.order = np.argsort(self.image_of_row, kind="stable")  # rows, those of an image side by side
        self.counts = np.bincount(self.image_of_row)
        self.starts = np.cumsum(self.counts) - self.counts
        self.classes, self.class_of_image = np.unique(self.images.label, return_inverse=True)

    def ask(
        self, vectors: Floats, k: int, content: str | None = None, *, keep_self: bool = False,
        exclude_group: bool = False,
    ) -> Reply:  # fmt: skip
        """The k most similar images of one query; what is said of its class never counts the query itself.

        Args:
            vectors: (T, D), the query's tiles.
            k: Images wanted, at least 1; fewer come where the index holds fewer.
            content: SHA-256 of the query's file: an image with the same content is the query itself.
            keep_self: The query itself may be among the answers.
            exclude_group: Images of the query's own group may not, where the query is in the index.

        Raises:
            DataError: k is below 1.
        """
        if k < 1:
            raise DataError(f"k = {k}: must be at least 1", "ask for one image or more")
        own, group = self._own(content, exclude_group)
        uncounted = np.union1d(own, group)
        hidden = np.setdiff1d(group, own) if keep_self else uncounted
        images, scores = self._near(vectors, k, uncounted)
        shown, counted = ~np.isin(images, hidden), ~np.isin(images, uncounted)
        known, classes = self._certain(images[counted], scores[counted])
        return Reply(self._answers(images[shown], scores[shown], k), len(self.ids) - len(hidden), known, classes)

    def _own(self, content: str | None, exclude_group: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Images with the query's content, and those of their groups."""
        own = np.array(self.of_content.get(content or "", ()), np.int64)
        groups = set(self.images.group[own]) if exclude_group else set()
        if not groups:
            return own, np.empty(0, np.int64)
        return own, np.flatnonzero([group in groups for group in self.images.group])

    def _near(
        self, vectors: Floats, k: int, uncounted: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Images and their scores, exact where they may be among the k best.

        Exact search scores every image, a large gallery's in single precision; an approximate one what it proposes.
        """
        if self.backend is None:
            images = np.arange(len(self.ids))
            if len(vectors) * self.index.vectors.size <= SMALL:  # and no kernel has to be loaded
                return images, self._scores(vectors, images)
            scores = self._all_scores(vectors)
            wanted = min(k + len(uncounted), len(images))
            last = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
            best = np.flatnonzero(scores >= last - 3 * _level(scores))  # rounding leaves none of the k best below
            scores[best] = self._scores(vectors, best)
            return images, scores
        images = self._proposed(vectors, k + len(uncounted), self.backend)
        return images, self._scores(vectors, images)

    def _proposed(self, vectors: Floats, wanted: int, backend: Proposes) -> NDArray[np.int64]:
        """Images that an approximate search finds, ``wanted`` or more where it can."""
        places = backend.candidates_a_place * wanted
        while True:
            places = min(len(self.index), places)
            rows = backend.candidates(vectors, places)
            images = np.unique(self.image_of_row[rows[rows >= 0]])
            if len(images) >= wanted or places == len(self.index) or (rows < 0).any():
                return images
            places *= _WIDER  # many of the rows were tiles of one image

    def _all_scores(self, vectors: Floats) -> NDArray[np.float64]:
        """The mean over all pairs of tiles (I,), in single precision."""
        rows = self.scorer.pairwise(vectors).mean(0, dtype=np.float64)[self.order]
        return np.asarray(np.add.reduceat(rows, self.starts) / self.counts)

    def _scores(self, vectors: Floats, images: NDArray[np.int64]) -> NDArray[np.float64]:
        """The mean over all pairs of tiles (I,), by the head's definition."""
        if not len(images):
            return np.empty(0)
        counts = self.counts[images]
        ends = np.cumsum(counts)
        starts = ends - counts
        every = self.order[np.repeat(self.starts[images] - starts, counts) + np.arange(ends[-1])]
        pairs = self.scorer.paired(vectors, np.tile(every, (len(vectors), 1))).astype(np.float64)
        return np.asarray(np.add.reduceat(pairs.mean(0), starts) / counts)

    def _answers(self, images: NDArray[np.int64], scores: NDArray[np.float64], k: int) -> list[Answer]:
        if not len(images):
            return []
        k = min(k, len(images))
        last = np.partition(scores, len(scores) - k)[len(scores) - k]
        near = scores >= last - 2 * _level(scores)  # what might share the last place; settling more is slow
        (best,), (found,) = settle(scores[None, near], images[None, near], k)
        pairs = self.certainty.pairs
        probabilities = [None] * len(best) if pairs is None else pairs(best).tolist()
        return [
            Answer(str(self.ids[i]), str(self.images.path[i]), str(self.images.label[i]), float(score), probability)
            for i, score, probability in zip(found, best, probabilities, strict=True)
        ]

    def _certain(
        self, images: NDArray[np.int64], scores: NDArray[np.float64]
    ) -> tuple[bool | None, list[tuple[str, float]] | None]:
        """Whether the query's class is known, and the set of classes."""
        unknown, conformal, pairs = self.certainty.unknown, self.certainty.conformal, self.certainty.pairs
        known = None if unknown is None else bool(len(scores) and scores.max() >= unknown.threshold)
        if conformal is None or pairs is None:
            return known, None
        best = np.full(len(self.classes), -np.inf)
        np.maximum.at(best, self.class_of_image[images], scores)
        order = [place for place in np.argsort(-best, kind="stable") if best[place] > -np.inf and self.classes[place]]
        shares = [(str(self.classes[place]), float(pairs(best[place]))) for place in order]
        return known, [one for place, one in enumerate(shares) if place == 0 or one[1] >= conformal.cut]


def _level(scores: NDArray[np.float64]) -> float:
    """Scores this close count as equal."""
    return NEAR_TIE * max(1.0, float(np.abs(scores).max()))
