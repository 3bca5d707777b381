"""A ranking that cannot be wrong in silence: every metric, re-ranker and plot takes it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Ranking:
    """The gallery in falling order of score, for each query.

    Rows with fewer than K candidates end in ids -1 with score -inf. Ties are in rising order of gallery row; the
    manifest is sorted by image id, so this is the order of ids.

    Args:
        query_ids: Gallery row of each query (Q,), -1 for a query that is not in the gallery.
        scores: Scores (Q, K), falling along each row; higher = more similar.
        ids: Gallery rows (Q, K).
        excluded: Pairs that must not occur (Q, M): own image, its duplicates, its group.

    Raises:
        ValueError: Shapes differ, a row is unsorted or its ties are, an id occurs twice, a query retrieves itself
            or an excluded row.
    """

    query_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    ids: NDArray[np.int64]
    excluded: NDArray[np.bool_] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.scores.shape != self.ids.shape or len(self.query_ids) != len(self.ids):
            raise ValueError(
                f"shapes differ: {len(self.query_ids)} queries, scores {self.scores.shape}, ids {self.ids.shape}"
            )
        self._check_order()
        self._check_members()

    def __len__(self) -> int:
        return len(self.query_ids)

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Places that hold a candidate (Q, K)."""
        return self.ids >= 0

    def _check_order(self) -> None:
        if np.isnan(self.scores).any():
            raise ValueError("a score is NaN")
        if ((self.ids < 0) != np.isneginf(self.scores)).any():
            raise ValueError("an empty place needs id -1 and score -inf, and a filled one neither")
        left, right = self.scores[:, :-1], self.scores[:, 1:]
        if (left < right).any():
            raise ValueError("scores are not in falling order")
        tied = (left == right) & self.filled[:, 1:]
        if (tied & (self.ids[:, :-1] >= self.ids[:, 1:])).any():
            raise ValueError("ties are not in rising order of id")

    def _check_members(self) -> None:
        ordered = np.sort(self.ids, axis=1)
        if ((ordered[:, :-1] == ordered[:, 1:]) & (ordered[:, 1:] >= 0)).any():
            raise ValueError("an id occurs twice in one row")
        if ((self.ids == self.query_ids[:, None]) & self.filled).any():
            raise ValueError("a query retrieves itself")
        if self.excluded is None:
            return
        rows = np.arange(len(self))[:, None]
        if (self.excluded[rows, np.maximum(self.ids, 0)] & self.filled).any():
            raise ValueError("a query retrieves an excluded row")


def rank(
    scores: ArrayLike,
    excluded: NDArray[np.bool_] | None = None,
    k: int | None = None,
    query_ids: ArrayLike | None = None,
) -> Ranking:
    """Ranks the gallery for each query.

    Args:
        scores: Scores (Q, M), finite; higher = more similar.
        excluded: Pairs to leave out (Q, M).
        k: Places kept; None keeps M.
        query_ids: Gallery row of each query (Q,), -1 where it has none; that row is left out too.

    Returns:
        The checked ranking; ties by gallery row.

    Raises:
        ValueError: Shapes differ, a score is not finite or k is below 1.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError("scores must be a finite array of queries x gallery")
    if k is not None and k < 1:
        raise ValueError(f"k = {k}: must be >= 1")
    own = np.full(len(array), -1, np.int64) if query_ids is None else np.asarray(query_ids, dtype=np.int64)
    mask = np.zeros(array.shape, dtype=np.bool_) if excluded is None else np.array(excluded, dtype=np.bool_)
    if mask.shape != array.shape or own.shape != array.shape[:1]:
        raise ValueError(f"shapes differ: scores {array.shape}, excluded {mask.shape}, query_ids {own.shape}")
    inside = np.flatnonzero(own >= 0)
    mask[inside, own[inside]] = True
    keep = array.shape[1] if k is None else min(k, array.shape[1])
    top_scores, top_ids = np.empty((len(array), keep)), np.empty((len(array), keep), dtype=np.int64)
    block = max(1, _BLOCK_CELLS // max(1, array.shape[1]))
    for start in range(0, len(array), block):
        part = slice(start, start + block)
        open_scores = np.where(mask[part], -np.inf, array[part])
        order = np.argsort(-open_scores, axis=1, kind="stable")[:, :keep]
        top_scores[part] = np.take_along_axis(open_scores, order, axis=1)
        top_ids[part] = np.where(np.isneginf(top_scores[part]), -1, order)
    return Ranking(own, top_scores, top_ids, mask)
