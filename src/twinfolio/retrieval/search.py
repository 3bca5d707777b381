"""The first k of a gallery for each query: candidates by a fast pass, scored again exactly, near-ties by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import ModelError
from twinfolio.retrieval.ranking import Ranking
from twinfolio.retrieval.scorers import DistanceScorer, Floats, Scorer

NEAR_TIE = 1e-5
"""Logits this close, relative to the query's best (at least 1), count as equal: rounding must not order them."""
CANDIDATES_A_PLACE = 4
_RESCORED_CELLS = 300_000
"""Values of candidates scored at once, few enough for a core's cache in double precision."""


class Candidates(Protocol):
    """Whoever proposes gallery rows; see ``backends``."""

    candidates_a_place: int

    def candidates(self, queries: Floats, places: int) -> NDArray[np.int64]:
        """Gallery rows (Q, places) likely to be the nearest, -1 where there are fewer."""


def search(
    scorer: Scorer,
    queries: Floats,
    k: int,
    excluded: Sequence[NDArray[np.int64]] | None = None,
    backend: Candidates | None = None,
) -> Ranking:
    """Rank the gallery's first k rows for each query, by the head's own scores.

    The 4 k best rows of a fast pass over the whole gallery are scored again by the head's definition, in double
    precision. Where the last of them is within rounding of the k-th place, more are taken, until no row left out could
    have a place: the answer is that of a full scan, whatever ties there are.

    Args:
        scorer: Holds the gallery (M, D).
        queries: (Q, D).
        k: Places, at most M.
        excluded: For each query the gallery rows it must not find (itself, its page).
        backend: Proposes the candidates in place of the fast pass; rows it misses are missed.

    Raises:
        ModelError: A backend under a head that is no distance.
        ValueError: k is below 1, or a query is not finite.
    """
    if k < 1:
        raise ValueError(f"k = {k}: must be >= 1")
    if not np.isfinite(queries).all():
        raise ValueError("a query embedding is NaN or infinite")
    own = [np.empty(0, np.int64)] * len(queries) if excluded is None else [np.unique(rows) for rows in excluded]
    most = max(map(len, own), default=0)
    if backend is not None and not isinstance(scorer, DistanceScorer):
        raise ModelError("no approximate index follows a head that is no distance", "choose exact")
    if backend is None:
        scores, rows = _exact(scorer, queries, min(k, len(scorer.gallery)), own, CANDIDATES_A_PLACE * k + most)
    else:
        found = candidates(scorer, queries, backend.candidates_a_place * k + most, backend)
        scores, rows = settle(
            _without(defined_scores(scorer, queries, found), found, own), found, min(k, len(scorer.gallery))
        )
    return Ranking(np.full(len(queries), -1), scores, rows)


def _exact(
    scorer: Scorer, queries: Floats, k: int, own: list[NDArray[np.int64]], places: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    places = min(places, len(scorer.gallery))
    found = candidates(scorer, queries, places)
    rescored = defined_scores(scorer, queries, found)
    scores, rows = settle(_without(rescored, found, own), found, k)
    if places == len(scorer.gallery):
        return scores, rows
    # what was left out scores below the lowest candidate, but for what rounding does to either
    slack = 3 * NEAR_TIE * np.maximum(np.abs(rescored).max(1), 1)
    unsure = np.flatnonzero(rescored.min(1) >= scores[:, -1] - slack)
    if len(unsure):
        wider = _exact(scorer, queries[unsure], k, [own[query] for query in unsure], CANDIDATES_A_PLACE * places)
        scores[unsure], rows[unsure] = wider
    return scores, rows


def candidates(scorer: Scorer, queries: Floats, places: int, backend: Candidates | None = None) -> NDArray[np.int64]:
    """Gallery rows (Q, places) with the highest scores, in no order.

    Args:
        scorer: Holds the gallery.
        queries: (Q, D).
        places: At most the gallery's rows.
        backend: Proposes them in place of the scorer; then -1 where it finds fewer.
    """
    places = min(places, len(scorer.gallery))
    return scorer.nearest(queries, places) if backend is None else backend.candidates(queries, places)


def defined_scores(scorer: Scorer, queries: Floats, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scores (Q, C) of queries (Q, D) with their own gallery rows (Q, C), by the head's definition; -inf at rows -1."""
    width = max(1, min(rows.shape[1], _RESCORED_CELLS // queries.shape[1]))
    height = max(1, _RESCORED_CELLS // (width * queries.shape[1]))
    known = np.maximum(rows, 0)
    scores = [
        [
            scorer.paired(queries[q : q + height], known[q : q + height, c : c + width])
            for c in range(0, rows.shape[1], width)
        ]
        for q in range(0, len(queries), height)
    ]
    return np.where(rows < 0, -np.inf, np.block(scores).astype(np.float64))


def _without(scores: NDArray[np.float64], rows: NDArray[np.int64], own: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """The scores with -inf at the rows that a query must not find."""
    if not any(map(len, own)):
        return scores
    barred = np.stack([np.isin(found, mine) for found, mine in zip(rows, own, strict=True)])
    return np.where(barred, -np.inf, scores)


def near_tie(scores: NDArray[np.float64]) -> float:
    """Scores this close count as equal."""
    return NEAR_TIE * max(1.0, float(np.abs(scores).max()))


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
    level = NEAR_TIE * np.maximum(np.abs(np.where(np.isfinite(scores[:, 0]), scores[:, 0], 0)), 1)
    filled = np.where(np.isfinite(scores), scores, np.finfo(np.float64).min)
    close = (filled[:, :-1] - filled[:, 1:] <= level[:, None]).any(0)
    settled = scores.copy()
    for place in np.flatnonzero(close) + 1:
        head = settled[:, place - 1]
        settled[:, place] = np.where(scores[:, place] < head - level, scores[:, place], head)
    by_row = np.lexsort((rows, -settled), axis=1)[:, :k]
    return np.take_along_axis(settled, by_row, 1), np.take_along_axis(rows, by_row, 1)
