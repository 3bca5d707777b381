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
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import digamma

from twinfolio.evaluation.arrays import AnyArray, Flags, Floats, Integers


@dataclass(frozen=True)
class TieTable:
    """Blocks in the order of queries and, within a query, of falling score.

    Args:
        query: Query of each block (T,), rising.
        start: Candidates before the block (T,).
        size: Candidates in it (T,), at least 1.
        inside: Relevant ones among them (T,), at least 1.
        gain: Sum of their gains (T,), above 0.
        n_candidates: Candidates of each query (Q,).
        ideal: The table of the same candidates ranked by their gains; None: this one.
    """

    query: Integers
    start: Integers
    size: Integers
    inside: Integers
    gain: Floats
    n_candidates: Integers
    ideal: TieTable | None = None

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

    def discounted_gain(self, k: int | None = None) -> Floats:
        """Expected DCG of the first k places (Q,): sum of gain / log2(place + 1), linear in the gains.

        Args:
            k: Places; None: all.
        """
        start, end = self.start, self.start + self.size
        summed = _summed_discounts(1 << int(self.n_candidates.max(initial=1)).bit_length())
        if k is not None:
            start, end = np.minimum(start, k), np.minimum(end, k)
        return self.total(self.gain / self.size * (summed[end] - summed[start]))

    def normalised_gain(self, k: int | None = None) -> Floats:
        """Expected nDCG of the first k places (Q,): DCG over that of the best order; 0 where nothing is relevant.

        Source: Järvelin & Kekäläinen 2002, section 2.2, with the discount of Burges et al. 2005.

        Args:
            k: Places; None: all.
        """
        best = (self.ideal or self).discounted_gain(k)
        return np.divide(self.discounted_gain(k), best, out=np.zeros(len(self)), where=best > 0)

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


@lru_cache(maxsize=2)
def _summed_discounts(length: int) -> Floats:
    """Sum of 1 / log2(place + 1) over the first 0..length places."""
    return np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, length + 2))))


def runs(owner: Integers, value: AnyArray) -> tuple[Integers, Integers, Integers]:
    """Runs of equal (owner, value): owners rising, values falling within each.

    Returns:
        The order of the rows (P,), the first place of each run in it (T,), and the run's length (T,).
    """
    order = np.lexsort((-value, owner))
    ordered, falling = owner[order], value[order]
    opens = np.ones(len(order), dtype=np.bool_)
    opens[1:] = (ordered[1:] != ordered[:-1]) | (falling[1:] != falling[:-1])
    heads = np.flatnonzero(opens)
    return order, heads, np.diff(heads, append=len(order))


def ideal_ties(owner: Integers, gain: Floats, n_candidates: Integers) -> TieTable:
    """The best ranking of relevant pairs: queries (P,) with gains (P,), candidates of each query (Q,)."""
    order, heads, counts = runs(owner, gain)
    query, value = owner[order][heads], gain[order][heads]
    start = heads - np.searchsorted(owner[order], query)
    return TieTable(query, start, counts, counts, value * counts, n_candidates)


def dense_ties(scores: Floats, gains: Floats | Flags, excluded: Flags) -> TieTable:
    """The table of score matrices small enough to sort.

    Args:
        scores: (Q, M), higher = more similar.
        gains: (Q, M), above 0 where relevant; True counts 1.
        excluded: (Q, M) bool: not candidates.
    """
    keyed = np.where(excluded, np.inf, -scores)
    order = np.argsort(keyed, axis=1, kind="stable")
    keyed = np.take_along_axis(keyed, order, axis=1)
    valid = np.take_along_axis(~excluded, order, axis=1)
    worth = np.take_along_axis(np.where(excluded, 0.0, gains), order, axis=1).ravel()
    opens = np.ones(keyed.shape, dtype=np.bool_)
    opens[:, 1:] = keyed[:, 1:] != keyed[:, :-1]
    opens &= valid
    heads = np.flatnonzero(opens)  # of blocks, through all queries
    block, hits = np.cumsum(opens.ravel()) - 1, np.flatnonzero(worth > 0)
    size = np.bincount(block[valid.ravel()], minlength=len(heads))
    inside = np.bincount(block[hits], minlength=len(heads))
    gain = np.bincount(block[hits], weights=worth[hits], minlength=len(heads)).astype(np.float64)
    kept = inside > 0
    query, start = np.divmod(heads[kept], keyed.shape[1])
    candidates = valid.sum(axis=1)
    ideal = ideal_ties(hits // keyed.shape[1], worth[hits], candidates)
    return TieTable(query, start, size[kept], inside[kept], gain[kept], candidates, ideal)
