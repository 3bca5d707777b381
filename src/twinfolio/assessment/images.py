"""The original images of a split: who they are, and which rows of the store are theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinfolio.data.store import Store
from twinfolio.errors import DataError
from twinfolio.evaluation.retrieval_protocol import Items, average_rows, average_tiles, owners


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


def originals(store: Store) -> ImageSet:
    """The original images (copy 0) of one split of the store.

    Args:
        store: An open split.

    Raises:
        DataError: The split has no image.
    """
    rows = np.flatnonzero(store.index["copy"].to_numpy() == 0).astype(np.int64)
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


def image_scores(scores: np.ndarray, queries: ImageSet, gallery: ImageSet) -> np.ndarray:
    """Scores of rows (R, S) to scores of images (N, M): the mean over all pairs of tiles."""
    return np.asarray(average_tiles(scores, queries.row_image, gallery.row_image))


def image_values(values: np.ndarray, of: ImageSet) -> np.ndarray:
    """Values of rows (R, K) to values of images (N, K): the mean over tiles."""
    return np.asarray(average_rows(values, of.row_image))
