"""Rankings as the tie blocks their relevant candidates stand in: all that any retrieval metric needs.

Tied candidates have no order. A block of ``size`` candidates with equal scores, ``inside`` of them relevant, stands
after ``start`` better candidates, ``before`` of them relevant; every metric is the expectation over the orders of its
blocks. A table holds a row for each block with a relevant candidate, so it grows with the relevant pairs and not with
queries x gallery.

Source: McSherry & Najork 2008, "Computing information retrieval performance measures efficiently in the presence of
tied scores", Eq. 6 (AP), section 2 (P@k, reciprocal rank, DCG).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import digamma

from twinfolio.evaluation.arrays import Floats, Integers


@dataclass(frozen=True)
class TieTable:
    """Blocks in the order of queries and, within a query, of falling score.

    Args:
        query: Query of each block (T,), rising.
        start: Candidates before the block (T,).
        size: Candidates in it (T,), at least 1.
        inside: Relevant ones among them (T,), at least 1.
        n_candidates: Candidates of each query (Q,).
    """

    query: Integers
    start: Integers
    size: Integers
    inside: Integers
    n_candidates: Integers

    def __len__(self) -> int:
        return len(self.n_candidates)

    @cached_property
    def n_relevant(self) -> Integers:
        """Relevant candidates of each query (Q,)."""
        return self.total(self.inside).astype(np.int64)

    @cached_property
    def before(self) -> Integers:
        """Relevant candidates before each block (T,)."""
        running = np.cumsum(self.inside) - self.inside
        first = np.searchsorted(self.query, np.arange(len(self)))
        offsets = np.append(running, 0)[np.minimum(first, len(running))]
        return np.asarray(running - offsets[self.query])

    @cached_property
    def first(self) -> Integers:
        """The first block of each query that has one."""
        return np.flatnonzero(np.diff(self.query, prepend=-1))

    def total(self, values: Floats | Integers) -> Floats:
        """Sum of the blocks' values over each query (Q,)."""
        return np.bincount(self.query, weights=values, minlength=len(self)).astype(np.float64)

    def hits_within(self, k: Integers | int) -> Floats:
        """Expected relevant candidates among each query's first k (Q,).

        Args:
            k: One number, or one a query.
        """
        places = np.broadcast_to(np.asarray(k), self.n_candidates.shape)[self.query]
        return self.total(self.inside * np.clip((places - self.start) / self.size, 0, 1))

    def average_precision(self, k: Integers | None = None) -> Floats:
        """Expected sum of the precisions at the hits within the first k places (Q,); divide by what AP divides by.

        Args:
            k: Places of each query (Q,); None: all.
        """
        start, size, inside = (part.astype(np.float64) for part in (self.start, self.size, self.inside))
        places = size if k is None else np.clip(k[self.query] - start, 0, size)
        # sum over p < places of (before + 1 + p slope) / (start + 1 + p)
        slope = np.where(size > 1, (inside - 1) / np.maximum(size - 1, 1), 0.0)
        harmonic = np.where(places == 1, 1 / (start + 1), digamma(start + places + 1) - digamma(start + 1))
        gained = (self.before + 1 - slope * (start + 1)) * harmonic + slope * places
        return self.total(np.where(places > 0, inside / size * gained, 0.0))

    def first_hit(self, length: int) -> tuple[Floats, Floats]:
        """Chance that a hit lies within 1..length (Q, length), and the expected reciprocal rank (Q,).

        Args:
            length: Places of the curve.
        """
        curve, reciprocal = np.zeros((len(self), length)), np.zeros(len(self))
        columns = np.arange(length)
        alone = self.first[self.size[self.first] == self.inside[self.first]]
        curve[self.query[alone]] = columns >= self.start[alone, None]
        reciprocal[self.query[alone]] = 1 / (self.start[alone] + 1)
        for block in np.setdiff1d(self.first, alone):
            query, start = self.query[block], int(self.start[block])
            size, inside = int(self.size[block]), int(self.inside[block])
            drawn = np.arange(size - inside + 1)
            missed = np.cumprod((size - inside - drawn) / (size - drawn))  # no hit in the first drawn + 1 of the tie
            reciprocal[query] = (np.diff(1 - missed, prepend=0.0) / (start + 1 + drawn)).sum()
            curve[query, start:] = 1.0
            shown = min(len(missed), max(0, length - start))
            curve[query, start : start + shown] = 1 - missed[:shown]
        return curve, reciprocal


def dense_ties(scores: Floats, relevant: np.ndarray, excluded: np.ndarray) -> TieTable:
    """The table of score matrices small enough to sort.

    Args:
        scores: (Q, M), higher = more similar.
        relevant: (Q, M) bool.
        excluded: (Q, M) bool: not candidates.
    """
    keyed = np.where(excluded, np.inf, -scores)
    order = np.argsort(keyed, axis=1, kind="stable")
    keyed = np.take_along_axis(keyed, order, axis=1)
    valid = np.take_along_axis(~excluded, order, axis=1)
    hits = np.take_along_axis(relevant & ~excluded, order, axis=1)
    opens = np.ones(keyed.shape, dtype=np.bool_)
    opens[:, 1:] = keyed[:, 1:] != keyed[:, :-1]
    opens &= valid
    heads = np.flatnonzero(opens)  # of blocks, through all queries
    block = np.cumsum(opens.ravel()) - 1
    size = np.bincount(block[valid.ravel()], minlength=len(heads))
    inside = np.bincount(block[hits.ravel()], minlength=len(heads))
    kept = inside > 0
    query, start = np.divmod(heads[kept], keyed.shape[1])
    return TieTable(query, start, size[kept], inside[kept], valid.sum(axis=1))
