"""Who is relevant to a query and who never counts, as pairs listed for some queries at a time: never queries x gallery.

Pairs of equal names (class, group, duplicate cluster) cost a sort of the names; judged pairs cost themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import AnyArray, Floats, Integers, codes, same_length


class Pairs(NamedTuple):
    """P pairs: the query's place in the asked rows (P,), the gallery row (P,), the gain of finding it (P,) > 0."""

    place: Integers
    column: Integers
    gain: Floats


class PairLists:
    """Gallery rows of each query, as a stretch of a shared list.

    Args:
        starts: First place of each query's stretch (Q,).
        counts: Length of each (Q,).
        columns: Gallery rows, stretches may overlap.
    """

    def __init__(self, starts: Integers, counts: Integers, columns: Integers) -> None:
        self.starts, self.counts, self.columns = starts, counts, columns

    def of(self, rows: Integers) -> Pairs:
        """Pairs of the query rows (q,)."""
        counts = self.counts[rows]
        place = np.repeat(np.arange(len(rows)), counts)
        at = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts) + self.starts[rows][place]
        return Pairs(place, self.columns[at], self._gains(rows[place], at))

    def _gains(self, rows: Integers, at: Integers) -> Floats:
        return np.ones(len(at))


class EqualPairs(PairLists):
    """Pairs of equal names: images of one class, group or cluster.

    Args:
        query: Names (Q,).
        gallery: Names (M,), of the same kind.
        finer: Names of queries and gallery whose equality is worth more, for example the groups inside a class.
        finer_gain: Gain of such a pair; the others have 1.
    """

    def __init__(
        self,
        query: ArrayLike,
        gallery: ArrayLike,
        finer: tuple[ArrayLike, ArrayLike] | None = None,
        finer_gain: float = 2.0,
    ) -> None:
        left, right = codes(query, gallery)
        columns = np.argsort(right, kind="stable")
        starts, ends = (np.searchsorted(right[columns], left, side=side) for side in ("left", "right"))
        super().__init__(starts, ends - starts, columns)
        self.finer = None if finer is None else codes(*finer)
        self.finer_gain = finer_gain

    def _gains(self, rows: Integers, at: Integers) -> Floats:
        if self.finer is None:
            return np.ones(len(at))
        left, right = self.finer
        return np.where(left[rows] == right[self.columns[at]], self.finer_gain, 1.0)


class JudgedPairs(PairLists):
    """Pairs judged one by one, for example graded by people; a pair that is not listed is not relevant.

    Args:
        query_rows: Query row of each pair (P,).
        gallery_rows: Gallery row of each (P,).
        gains: Gain of each (P,), above 0.
        n_queries: Q.

    Raises:
        ValueError: A gain is not above 0 or not finite, a pair is listed twice, or a row is out of range.
    """

    def __init__(self, query_rows: ArrayLike, gallery_rows: ArrayLike, gains: ArrayLike, n_queries: int) -> None:
        rows, columns = (np.asarray(part, dtype=np.int64) for part in (query_rows, gallery_rows))
        values = np.asarray(gains, dtype=np.float64)
        same_length(query_rows=rows, gallery_rows=columns, gains=values)
        if not (np.isfinite(values) & (values > 0)).all():
            raise ValueError("a judged pair's gain must be finite and above 0")
        if len(rows) and (min(rows.min(), columns.min()) < 0 or rows.max() >= n_queries):
            raise ValueError(f"a judged pair's row is out of range: queries 0..{n_queries - 1}, gallery from 0")
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        if ((rows[1:] == rows[:-1]) & (columns[1:] == columns[:-1])).any():
            raise ValueError("a pair is judged twice")
        counts = np.bincount(rows, minlength=n_queries)
        super().__init__(np.cumsum(counts) - counts, counts, columns)
        self.values = values[order]

    def _gains(self, rows: Integers, at: Integers) -> Floats:
        return self.values[at]


@dataclass(frozen=True)
class Candidates:
    """What Q queries may find among M gallery rows.

    Args:
        relevant: Relevant pairs with their gains.
        barred: Pairs that are no candidates, relevant or not.
        rows: The queries (Q,) in an order that puts those with common relevant pairs together.
        columns: The gallery (M,) likewise.
    """

    relevant: PairLists
    barred: tuple[PairLists, ...]
    rows: Integers
    columns: Integers

    def __post_init__(self) -> None:
        named = {f"barred{number}": pairs.counts for number, pairs in enumerate(self.barred)}
        same_length(queries=self.rows, relevant=self.relevant.counts, **named)

    @classmethod
    def by_name(
        cls, relevant: PairLists, barred: tuple[PairLists, ...], query: AnyArray, gallery: AnyArray
    ) -> Candidates:
        """Candidates ordered by the names (Q,) and (M,), such as the classes."""
        left, right = codes(query, gallery)
        return cls(relevant, barred, np.argsort(left, kind="stable"), np.argsort(right, kind="stable"))

    def of(self, rows: Integers) -> tuple[Pairs, Pairs]:
        """Relevant pairs that may be found, and barred pairs (each once), of the query rows (q,)."""
        width = len(self.columns)
        lists = [pairs.of(rows) for pairs in self.barred]
        keys = np.unique(np.concatenate([np.empty(0, np.int64), *(p.place * width + p.column for p in lists)]))
        found = self.relevant.of(rows)
        if len(found.column) and found.column.max() >= width:
            raise ValueError(f"a judged pair names gallery row {found.column.max()} of {width}")
        kept = ~np.isin(found.place * width + found.column, keys)
        place, column = np.divmod(keys, width)
        return Pairs(found.place[kept], found.column[kept], found.gain[kept]), Pairs(place, column, np.ones(len(keys)))

    def tiles(self, queries: int, pairs: int) -> list[Integers]:
        """Query rows cut, in their order, into tiles of at most so many queries and listed pairs (or one query)."""
        listed = np.sum([part.counts for part in (self.relevant, *self.barred)], axis=0)[self.rows]
        ends, start, cuts = np.cumsum(listed), 0, []
        while start < len(self.rows):
            before = ends[start] - listed[start]
            fits = int(np.searchsorted(ends, before + pairs, side="right"))
            cuts.append(self.rows[start : max(start + 1, min(start + queries, fits))])
            start += len(cuts[-1])
        return cuts
