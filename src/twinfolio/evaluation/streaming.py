"""Retrieval metrics of rankings too large for memory: scores come tile by tile, and only counters stay.

Scores of one pair may differ in their last bits between matrix products of different shapes. Tiles therefore lie at
fixed places, in the order of classes, whatever part of the queries a process takes: its numbers are the same. The
order of classes also puts the relevant pairs of a tile of queries into few tiles of the gallery, which are computed
twice: once for the scores of the relevant candidates, once to count who stands before and beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from twinfolio.evaluation.arrays import Integers
from twinfolio.evaluation.candidates import Candidates, EqualPairs, Pairs
from twinfolio.evaluation.ranking_metrics import RankingMetrics, check_size, metrics_of
from twinfolio.evaluation.ties import TieTable, ideal_ties, runs

Scores = Callable[[Integers, Integers], NDArray[np.float32]]
"""From rows of the queries (q,) and of the gallery (m,) to their scores (q, m) float32, higher = more similar.

Read before the next call and never written to: a buffer may serve all calls."""

TILE_QUERIES, TILE_GALLERY = 1024, 4096
TILE_PAIRS = 1 << 20  # listed at once, about 100 bytes each


class TileMeans:
    """Scores of images as the mean over all pairs of their tiles, from scores of tiles.

    Args:
        scores: Scores of tile rows.
        query_owner: Query image 0..Q-1 of each tile row (S,), as `retrieval_protocol.owners` numbers them.
        gallery_owner: Gallery image 0..M-1 of each tile row (T,).

    Raises:
        ValueError: An image between 0 and the largest has no tile.
    """

    def __init__(self, scores: Scores, query_owner: Integers, gallery_owner: Integers) -> None:
        self.scores = scores
        owners = (query_owner, gallery_owner)
        self.tiles = [EqualPairs(np.arange(owner.max(initial=-1) + 1), owner) for owner in owners]
        if any((tiles.counts == 0).any() for tiles in self.tiles):
            raise ValueError("an image has no tile")

    def __call__(self, queries: Integers, gallery: Integers) -> NDArray[np.float32]:
        """Scores (q, m) of image rows."""
        sides = [tiles.of(rows) for tiles, rows in zip(self.tiles, (queries, gallery), strict=True)]
        means: NDArray[np.floating] = self.scores(sides[0].column, sides[1].column)
        for axis, (side, rows) in enumerate(zip(sides, (queries, gallery), strict=True)):
            if len(side.place) > len(rows):
                starts = np.searchsorted(side.place, np.arange(len(rows)))
                sums = np.add.reduceat(means, starts, axis=axis, dtype=np.float64)
                means = sums / np.expand_dims(self.tiles[axis].counts[rows], 1 - axis)
        return means.astype(np.float32, copy=False)


@dataclass(frozen=True)
class Stream:
    """All that a process needs to take its share of the queries.

    Args:
        scores: Scores of any rows with any rows.
        candidates: Relevant and barred pairs.
        ks: Cut-offs, each at least 1.
        cmc_length: Places of the cumulative match curve.
    """

    scores: Scores
    candidates: Candidates
    ks: Sequence[int] = (1, 5, 10)
    cmc_length: int = 50

    def tiles(self) -> list[Integers]:
        """Query rows of each tile: what processes and machines may share out in any way."""
        return self.candidates.tiles(TILE_QUERIES, TILE_PAIRS)

    def metrics(self, rows: Integers) -> RankingMetrics:
        """Metrics of one tile's queries (q,); zeros where nothing is relevant."""
        return metrics_of(self.ties(rows), self.ks, self.cmc_length)

    def ties(self, rows: Integers) -> TieTable:
        """Tie blocks of one tile's queries (q,)."""
        relevant, barred = (self._placed(pairs) for pairs in self.candidates.of(rows))
        found = self._scores_of(rows, relevant)
        order, heads, inside = runs(relevant.place, found)
        owner, limits = relevant.place[order][heads], found[order][heads]
        reached, passed = self._count(rows, owner, limits, barred)
        total = len(self.candidates.columns) - np.bincount(barred.place, minlength=len(rows))
        gain = np.add.reduceat(relevant.gain[order], heads) if len(heads) else np.empty(0)
        ideal = ideal_ties(relevant.place, relevant.gain, total)
        return TieTable(owner, passed, reached - passed, inside, gain, total, ideal)

    def _placed(self, pairs: Pairs) -> Pairs:
        """Pairs with places in the gallery's order instead of rows of the gallery, sorted by them."""
        places = np.empty(len(self.candidates.columns), np.int64)
        places[self.candidates.columns] = np.arange(len(places))
        column = places[pairs.column]
        order = np.argsort(column, kind="stable")
        return Pairs(pairs.place[order], column[order], pairs.gain[order])

    def _tile(self, rows: Integers, tile: int) -> NDArray[np.float32]:
        columns = self.candidates.columns[tile * TILE_GALLERY : (tile + 1) * TILE_GALLERY]
        block = np.ascontiguousarray(self.scores(rows, columns), dtype=np.float32)
        if block.shape != (len(rows), len(columns)):
            raise ValueError(f"scores {block.shape} for {len(rows)} queries and {len(columns)} gallery rows")
        return block

    def _scores_of(self, rows: Integers, pairs: Pairs) -> NDArray[np.float32]:
        found = np.empty(len(pairs.place), np.float32)
        for tile in np.unique(pairs.column // TILE_GALLERY):
            here = _of_tile(pairs, tile)
            found[here] = self._tile(rows, tile)[pairs.place[here], pairs.column[here] - tile * TILE_GALLERY]
        return found

    def _count(
        self, rows: Integers, owner: Integers, limits: NDArray[np.float32], barred: Pairs
    ) -> tuple[Integers, Integers]:
        """Candidates at or above, and above, each limit (T,)."""
        from twinfolio.evaluation.tie_counting import count, uncount

        bounds = np.searchsorted(owner, np.arange(len(rows) + 1))
        reached, passed = np.zeros((2, len(limits)), np.int64)
        for tile in range(-(-len(self.candidates.columns) // TILE_GALLERY)):
            block, out = self._tile(rows, tile), _of_tile(barred, tile)
            if count(block, limits, bounds, reached, passed).any():
                raise ValueError("scores hold NaN or infinity: no order is defined")
            place = barred.place[out]
            taken = block[place, barred.column[out] - tile * TILE_GALLERY]
            uncount(taken, place, limits, bounds, reached, passed)
        return reached, passed


def _of_tile(pairs: Pairs, tile: int) -> slice:
    first, end = np.searchsorted(pairs.column, [tile * TILE_GALLERY, (tile + 1) * TILE_GALLERY])
    return slice(int(first), int(end))


def streaming_metrics(stream: Stream, processes: int = 1) -> RankingMetrics:
    """Metrics of all queries, in their own order; zeros where nothing is relevant.

    Memory of a process: a tile of scores (16 MiB) and the listed pairs of one tile of queries; the result is
    queries x (metrics + cmc_length).

    Args:
        stream: Scores and candidates.
        processes: Processes that share the tiles of queries; the numbers do not depend on it. Above 1 each is started
            afresh, so ``stream.scores`` must pickle, and takes as many threads as its environment tells it.

    Raises:
        ValueError: Nothing to rank, or scores that are not finite or do not fit.
    """
    check_size((len(stream.candidates.rows), len(stream.candidates.columns)), stream.ks)
    tiles = stream.tiles()
    if processes == 1:
        parts = [stream.metrics(rows) for rows in tiles]
    else:
        # a fork of a process whose threads have run would not survive its first product
        context = get_context("spawn")
        with ProcessPoolExecutor(min(processes, len(tiles)), context, _set_stream, (stream,)) as pool:
            parts = list(pool.map(_tile_metrics, tiles))
    return RankingMetrics.join(parts).take(np.argsort(np.concatenate(tiles)))


_streams: list[Stream] = []


def _set_stream(stream: Stream) -> None:
    _streams[:] = [stream]


def _tile_metrics(rows: Integers) -> RankingMetrics:
    return _streams[0].metrics(rows)
