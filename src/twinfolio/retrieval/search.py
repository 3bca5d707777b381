"""The first k of a gallery for each query: candidates by a fast pass, scored again exactly, near-ties by id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinfolio.retrieval.ranking import Ranking
from twinfolio.retrieval.scorers import DistanceScorer, Floats, Scorer

NEAR_TIE = 1e-5
"""Logits this close, relative to the query's largest (at least 1), count as equal: rounding must not order them."""
CANDIDATES_A_PLACE = 4
_BLOCK_CELLS = 16_000_000


def search(scorer: Scorer, queries: Floats, k: int, excluded: Sequence[NDArray[np.int64]] | None = None) -> Ranking:
    """Rank the gallery's first k rows for each query, by the head's own scores.

    The 4 k best rows of a fast pass (FAISS's exact search under a distance head, one blocked scan under the others) are
    scored again by the head's definition, in double precision.

    Args:
        scorer: Holds the gallery (M, D).
        queries: (Q, D).
        k: Places, at most M.
        excluded: For each query the gallery rows it must not find (itself, its page).

    Raises:
        ValueError: k is below 1, or a query is not finite.
    """
    if k < 1:
        raise ValueError(f"k = {k}: must be >= 1")
    if not np.isfinite(queries).all():
        raise ValueError("a query embedding is NaN or infinite")
    own = [np.empty(0, np.int64)] * len(queries) if excluded is None else [np.unique(rows) for rows in excluded]
    places = min(len(scorer.gallery), CANDIDATES_A_PLACE * k + max(map(len, own), default=0))
    block = max(1, _BLOCK_CELLS // (places * queries.shape[1]))
    parts = [slice(start, start + block) for start in range(0, len(queries), block)]
    found = [_search(scorer, queries[part], places, k, own[part]) for part in parts]
    scores, rows = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return Ranking(np.full(len(queries), -1), scores, rows)


def _search(
    scorer: Scorer, queries: Floats, places: int, k: int, own: list[NDArray[np.int64]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rows = candidates(scorer, queries, places)
    scores = scorer.paired(queries, rows).astype(np.float64)
    for query, barred in enumerate(own):
        if len(barred):
            scores[query, np.isin(rows[query], barred)] = -np.inf
    return settle(scores, rows, min(k, len(scorer.gallery)))


def candidates(scorer: Scorer, queries: Floats, places: int) -> NDArray[np.int64]:
    """Gallery rows (Q, places) with the highest scores, in no order.

    Args:
        scorer: Holds the gallery.
        queries: (Q, D).
        places: At most the gallery's rows.
    """
    if isinstance(scorer, DistanceScorer):
        return scorer.nearest(queries, places)
    block = max(1, _BLOCK_CELLS // len(scorer.gallery))
    found = [
        np.argpartition(-scorer.pairwise(queries[start : start + block]), places - 1, axis=1)[:, :places]
        for start in range(0, len(queries), block)
    ]
    return np.concatenate(found)


def settle(
    scores: NDArray[np.float64], rows: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The k best candidates, near-ties in rising order of row and with the score of their highest.

    Args:
        scores: (Q, C); -inf for what must not be found.
        rows: (Q, C) gallery rows.
        k: Places, at most C.

    Returns:
        Scores (Q, k) and rows (Q, k); -inf and -1 where candidates run out.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
    rows = np.where(np.isneginf(scores), -1, rows)
    level = np.maximum(np.abs(np.where(np.isfinite(scores), scores, 0)).max(1), 1) * NEAR_TIE
    head = scores[:, 0].copy()
    settled = scores.copy()
    for place in range(1, scores.shape[1]):
        head = np.where(scores[:, place] < head - level, scores[:, place], head)
        settled[:, place] = head
    by_row = np.lexsort((rows, -settled), axis=1)[:, :k]
    return np.take_along_axis(settled, by_row, 1), np.take_along_axis(rows, by_row, 1)
