"""Queries against an index: the images most like this one, and how sure one may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import DataError
from twinfolio.retrieval.index import Index
from twinfolio.retrieval.prepared import PreparedGallery, settled
from twinfolio.retrieval.scorers import Floats
from twinfolio.serving.certainty import Certainty


@dataclass(frozen=True)
class Answer:
    """One image that was found.

    Attributes:
        image_id: Its name in the index.
        path: Its file as ``Rows.path`` has it; empty where it is not known.
        label: Its class; empty where it has none.
        score: Its final score under the model's recipe; of a plain one the head's logit, the mean over the tiles of
            both images.
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
        gallery: Its images, in the order of their ids, under the model's recipe (``archive.prepare``).
        certainty: The model's calibration, of final scores.
    """

    def __init__(self, index: Index, gallery: PreparedGallery, certainty: Certainty | None = None) -> None:
        self.index, self.gallery, self.certainty = index, gallery, certainty or Certainty()
        self.ids, first = np.unique(index.rows.image_id, return_index=True)
        self.images = index.rows[first]
        self.of_content: dict[str, list[int]] = {}
        for image, content in enumerate(self.images.content):
            if content:
                self.of_content.setdefault(content, []).append(image)
        self.classes, self.class_of_image = np.unique(self.images.label, return_inverse=True)

    def ask(
        self, vectors: Floats, k: int, content: str | None = None, *, keep_self: bool = False,
        exclude_group: bool = False,
    ) -> Reply:  # fmt: skip
        """The k most similar images of one query; what is said of its class never counts the query itself.

        Args:
            vectors: (T, D), the query's tiles, embedded under the recipe's views.
            k: Images wanted, at least 1; fewer come where the index holds fewer.
            content: SHA-256 of the query's file: an image with the same content is the query itself.
            keep_self: The query itself may be among the answers, and among the neighbours it learns from.
            exclude_group: Images of the query's own group may not, where the query is in the index.

        Raises:
            DataError: k is below 1.
        """
        if k < 1:
            raise DataError(f"k = {k}: must be at least 1", "ask for one image or more")
        own, group = self._own(content, exclude_group)
        uncounted = np.union1d(own, group)
        hidden = np.setdiff1d(group, own) if keep_self else uncounted
        images, scores, closest = self.gallery.everything(vectors, k, uncounted)
        unknown, classes = self.certainty.unknown, self._classes(images, scores)
        known = None if unknown is None else closest >= unknown.threshold  # re-ranking has no say in it
        if len(hidden) < len(uncounted):  # with itself among its neighbours it is another query
            images, scores, _ = self.gallery.everything(vectors, k, hidden)
        return Reply(self._answers(images, scores, k), len(self.ids) - len(hidden), known, classes)

    def _own(self, content: str | None, exclude_group: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Images with the query's content, and those of their groups."""
        own = np.array(self.of_content.get(content or "", ()), np.int64)
        groups = set(self.images.group[own]) if exclude_group else set()
        if not groups:
            return own, np.empty(0, np.int64)
        return own, np.flatnonzero([group in groups for group in self.images.group])

    def _answers(self, images: NDArray[np.int64], scores: NDArray[np.float64], k: int) -> list[Answer]:
        found, best = settled(images, scores, k)
        pairs = self.certainty.pairs
        probabilities = [None] * len(best) if pairs is None or not len(best) else pairs(best).tolist()
        return [
            Answer(str(self.ids[i]), str(self.images.path[i]), str(self.images.label[i]), float(score), probability)
            for i, score, probability in zip(found, best, probabilities, strict=True)
        ]

    def _classes(self, images: NDArray[np.int64], scores: NDArray[np.float64]) -> list[tuple[str, float]] | None:
        """The set of classes."""
        conformal, pairs = self.certainty.conformal, self.certainty.pairs
        if conformal is None or pairs is None:
            return None
        best = np.full(len(self.classes), -np.inf)
        np.maximum.at(best, self.class_of_image[images], scores)
        order = [place for place in np.argsort(-best, kind="stable") if best[place] > -np.inf and self.classes[place]]
        shares = [(str(self.classes[place]), float(pairs(best[place]))) for place in order]
        return [one for place, one in enumerate(shares) if place == 0 or one[1] >= conformal.cut]
