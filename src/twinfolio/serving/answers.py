"""Queries against an index: the images most like this one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import DataError
from twinfolio.retrieval.index import Index
from twinfolio.retrieval.scorers import Floats, Scorer
from twinfolio.retrieval.search import candidates, settle


@dataclass(frozen=True)
class Answer:
    """One image that was found.

    Attributes:
        image_id: Its name in the index.
        label: Its class; empty where it has none.
        score: The head's logit, the mean over the tiles of both images.
    """

    image_id: str
    label: str
    score: float


class Searcher:
    """An index ready to be asked, again and again.

    Args:
        index: The index.
        scorer: The model's head against the index's vectors.

    Raises:
        DataError: The index is empty.
    """

    def __init__(self, index: Index, scorer: Scorer) -> None:
        if not len(index):
            raise DataError(f"{index.folder.parent}: the index is empty", "add images: twinfolio index add FOLDER")
        self.index, self.scorer = index, scorer
        first, self.image_of_row = np.unique(index.rows["image_id"].to_numpy(dtype=str), return_inverse=True)
        self.ids = first
        at = np.unique(self.image_of_row, return_index=True)[1]
        self.labels = index.rows["label"].to_numpy(dtype=str)[at]
        self.contents = index.rows["content"].to_numpy(dtype=str)[at]
        order = np.argsort(self.image_of_row, kind="stable")
        self.rows_of_image = np.split(order, np.cumsum(np.bincount(self.image_of_row))[:-1])
        self.most_tiles = max(map(len, self.rows_of_image))

    def ask(self, vectors: Floats, k: int, content: str | None = None) -> list[Answer]:
        """The k most similar images of one query.

        Args:
            vectors: (T, D), the query's tiles.
            k: Images wanted; fewer come where the index holds fewer.
            content: SHA-256 of the query's file: images with the same content are left out; None keeps them.
        """
        own = np.flatnonzero(self.contents == content) if content is not None else np.empty(0, np.int64)
        places = min(len(self.index), (4 * k + len(own)) * self.most_tiles)
        near = np.unique(self.image_of_row[candidates(self.scorer, vectors, places)])
        images = np.setdiff1d(near, own)
        if not len(images):
            return []
        scores, found = settle(self._scores(vectors, images)[None], images[None], min(k, len(images)))
        return [
            Answer(str(self.ids[image]), str(self.labels[image]), float(score))
            for image, score in zip(found[0], scores[0], strict=True)
        ]

    def _scores(self, vectors: Floats, images: NDArray[np.int64]) -> NDArray[np.float64]:
        """The mean over all pairs of tiles (I,)."""
        rows = [self.rows_of_image[image] for image in images]
        every = np.concatenate(rows)
        pairs = self.scorer.paired(vectors, np.tile(every, (len(vectors), 1))).astype(np.float64)
        starts = np.cumsum([0, *(len(part) for part in rows[:-1])])
        return np.asarray(np.add.reduceat(pairs.mean(0), starts) / [len(part) for part in rows])
