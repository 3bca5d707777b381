"""The original images of a split: who they are, and which rows of the store are theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twinfolio.data.store import Store
from twinfolio.errors import DataError
from twinfolio.evaluation.retrieval_protocol import (
    Items,
    OwnGroup,
    average_rows,
    candidates,
    exclusions,
    owners,
)
from twinfolio.evaluation.streaming import Scores, TileMeans
from twinfolio.retrieval.ranking import Ranking, rank

_BLOCK_CELLS = 4_000_000
"""Scores in memory at once: 16 MiB."""


@dataclass(frozen=True)
class ImageSet:
    """Original images (augmented copies are no part of it).

    Attributes:
        items: N images; their labels are positions in the store's list of classes.
        within_group: (N,) bool, True for an image lent to validation from a training group.
        row_image: (R,) int64, the image that each row (of embeddings) belongs to; R > N where pages are tiled.
        row_tile: (R,) int64, the tile of each row.
        rows: (R,) int64, where these rows stand in their split's store.
    """

    items: Items
    within_group: np.ndarray
    row_image: np.ndarray
    row_tile: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def first_row(self, image: int) -> int:
        """The store row that stands for an image."""
        return int(self.rows[np.flatnonzero(self.row_image == image)[0]])


def originals(store: Store, labels: np.ndarray | None = None) -> ImageSet:
    """The original images (copy 0) of one split of the store.

    Args:
        store: An open split.
        labels: Only images of these classes; None: all.

    Raises:
        DataError: The split has no image.
    """
    wanted = store.index["copy"].to_numpy() == 0
    if labels is not None:
        wanted &= np.isin(store.labels, labels)
    rows = np.flatnonzero(wanted).astype(np.int64)
    if not len(rows):
        raise DataError("a split of the store has no images", "give each class more images, or change split.fractions")
    index = store.index.iloc[rows]
    row_image, first = owners(index["image_id"].to_numpy(dtype=str))
    one = index.iloc[first]
    ids, groups, clusters = (one[column].to_numpy(dtype=str) for column in ("image_id", "group", "cluster"))
    labels = np.asarray(store.labels)[rows[first]].astype(np.int64)
    return ImageSet(
        items=Items(ids, labels, groups, clusters),
        within_group=one["within_group"].to_numpy().astype(bool),
        row_image=row_image,
        row_tile=index["tile"].to_numpy().astype(np.int64),
        rows=rows,
    )


def join(first: ImageSet, second: ImageSet) -> ImageSet:
    """Both sets as one: the images, and the rows, of ``second`` follow those of ``first``."""
    return ImageSet(
        items=first.items.join(second.items),
        within_group=np.concatenate([first.within_group, second.within_group]),
        row_image=np.concatenate([first.row_image, second.row_image + len(first)]),
        row_tile=np.concatenate([first.row_tile, second.row_tile]),
        rows=np.concatenate([first.rows, second.rows]),
    )


def image_scores(
    pairwise: Callable[[np.ndarray, np.ndarray], np.ndarray],
    query_vectors: np.ndarray,
    queries: ImageSet,
    gallery_vectors: np.ndarray,
    gallery: ImageSet,
) -> Scores:
    """Scores of any images with any others, the mean over all pairs of their tiles, made when asked for.

    Args:
        pairwise: (A, D), (B, D) -> (A, B), the system's.
        query_vectors: float32 (R, D), the rows of ``queries``.
        queries: N images.
        gallery_vectors: float32 (S, D), the rows of ``gallery``.
        gallery: M images.
    """

    def of_tiles(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return np.asarray(pairwise(query_vectors[rows], gallery_vectors[columns]), dtype=np.float32)

    return TileMeans(of_tiles, queries.row_image, gallery.row_image)


def first_answers(scores: Scores, queries: Items, gallery: Items, k: int, own_group: OwnGroup = "excluded") -> Ranking:
    """The first k gallery images of each query, a block of queries at a time.

    Args:
        scores: Of any queries with any gallery images.
        queries: Q images.
        gallery: M images.
        k: Places.
        own_group: Whether images of the query's own group may be found.
    """
    columns = np.arange(len(gallery))
    block = max(1, _BLOCK_CELLS // len(gallery))
    found = []
    for start in range(0, len(queries), block):
        rows = np.arange(start, min(start + block, len(queries)))
        found.append(rank(scores(rows, columns), exclusions(queries.take(rows), gallery, own_group), k))
    return Ranking(
        np.full(len(queries), -1),
        np.concatenate([part.scores for part in found]),
        np.concatenate([part.ids for part in found]),
    )


def barred_images(queries: Items, gallery: Items, own_group: OwnGroup = "excluded") -> list[np.ndarray]:
    """For each query the gallery images that are it, its duplicates or, where excluded, of its group.

    The pairs that ``retrieval_protocol`` bars, as lists: nothing here is queries x gallery.
    """
    barred = candidates(queries, gallery, own_group).of(np.arange(len(queries)))[1]
    return np.split(barred.column, np.searchsorted(barred.place, np.arange(1, len(queries))))


def image_values(values: np.ndarray, of: ImageSet) -> np.ndarray:
    """Values of rows (R, K) to values of images (N, K): the mean over tiles."""
    return np.asarray(average_rows(values, of.row_image))
