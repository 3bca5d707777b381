"""Queries with their first answers, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinfolio.assessment.images import ImageSet
from twinfolio.data.store import Store
from twinfolio.retrieval.ranking import Ranking

SHOWN = 8
"""Answers a query on the sheet."""


@dataclass(frozen=True)
class Example:
    """One picture: a query, or an answer with its score.

    Attributes:
        image: uint8 (H, W, C).
        image_id: The manifest's id.
        label: Position in the list of classes.
        score: Of the answer; None for a query.
        right: Whether the answer is of the query's class; None for a query.
    """

    image: np.ndarray
    image_id: str
    label: int
    score: float | None = None
    right: bool | None = None


def choose_queries(right: np.ndarray, n: int) -> np.ndarray:
    """Half queries that were answered rightly, half that were not, each spread evenly over all of their kind.

    Args:
        right: (Q,) bool, whether the first answer is right.
        n: Queries wanted.

    Returns:
        Rising positions, at most ``n``; where one kind is short the other fills up.
    """
    good, bad = np.flatnonzero(right), np.flatnonzero(~right)
    n_bad = min(len(bad), max(n // 2, n - len(good)))
    chosen = np.concatenate([spread(good, min(len(good), n - n_bad)), spread(bad, n_bad)])
    return np.sort(chosen).astype(np.int64)


def examples(
    ranking: Ranking, queries: ImageSet, gallery: ImageSet, query_store: Store, gallery_stores: list[Store], n: int
) -> list[list[Example]]:
    """The chosen queries, each followed by its ranked answers.

    Args:
        ranking: Of all queries; its columns are images of the gallery.
        queries: Q images of ``query_store``.
        gallery: M images, those of the ``gallery_stores`` one after the other.
        query_store: The queries' split.
        gallery_stores: The gallery's splits.
        n: Queries shown.
    """
    labels = gallery.items.labels
    first = ranking.ids[:, 0]
    right = (first >= 0) & (labels[np.maximum(first, 0)] == queries.items.labels)
    rows = []
    for q in choose_queries(right, n):
        wanted = int(queries.items.labels[q])
        row = [Example(pixels(queries, [query_store], q), str(queries.items.ids[q]), wanted)]
        for image, score in zip(ranking.ids[q, :SHOWN], ranking.scores[q, :SHOWN], strict=True):
            if image >= 0:
                label = int(labels[image])
                picture = pixels(gallery, gallery_stores, image)
                row.append(Example(picture, str(gallery.items.ids[image]), label, float(score), label == wanted))
        rows.append(row)
    return rows


def pixels(of: ImageSet, stores: list[Store], image: int) -> np.ndarray:
    """The first row of an image, from the store it stands in."""
    ends = np.cumsum([store.index.loc[store.index["copy"] == 0, "image_id"].nunique() for store in stores])
    store = stores[int(np.searchsorted(ends, image, side="right"))]
    return np.asarray(store.images[of.first_row(image)])


def spread(values: np.ndarray, n: int) -> np.ndarray:
    """``n`` of the values at even distances."""
    return values[(np.arange(n) * len(values) // max(n, 1)).astype(np.int64)]
