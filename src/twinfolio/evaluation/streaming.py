"""Tie blocks of rankings too large for memory: scores come tile by tile, and only counters stay.

Scores of one pair may differ in their last bits between matrix products of different shapes. Tiles therefore lie at
fixed places, in the order of labels, whatever part of the queries a process takes: its numbers are the same. The order
of labels also puts the relevant pairs of a tile of queries into few tiles of the gallery, which are computed twice:
once for the scores of the relevant candidates, once to count who stands before and beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from twinfolio.evaluation.arrays import AnyArray, Integers, codes
from twinfolio.evaluation.retrieval_protocol import Items, OwnGroup
from twinfolio.evaluation.ties import TieTable

Scores = Callable[[Integers, Integers], NDArray[np.float32]]
"""From rows of the queries (q,) and of the gallery (m,) to their scores (q, m) float32, higher = more similar."""

TILE_QUERIES, TILE_GALLERY = 1024, 4096


def query_tiles(n_queries: int) -> int:
    """Number of tiles the queries are cut into: what processes may share out."""
    return -(-n_queries // TILE_QUERIES)


def streaming_ties(
    scores: Scores, queries: Items, gallery: Items, own_group: OwnGroup, tiles: Sequence[int] | None = None
) -> tuple[Integers, TieTable]:
    """Count the tie blocks of the relevant candidates of each query.

    Memory: a tile of scores (16 MiB) and the relevant and excluded pairs of one tile of queries.

    Args:
        scores: Scores of any rows with any rows.
        queries: Q images.
        gallery: M images.
        own_group: Whether the query's own group may be found; itself and its duplicates never are.
        tiles: Tiles of queries to take; None: all.

    Returns:
        The queries' rows in the order of the table, and the table.
    """
    left, right = codes(queries.labels, gallery.labels)
    order, columns = np.argsort(left, kind="stable"), np.argsort(right, kind="stable")
    excluded = excluded_pairs(queries, gallery, own_group, columns)
    relevant = _Same((queries.labels, gallery.labels), columns)
    parts, rows = [], []
    for tile in range(query_tiles(len(queries))) if tiles is None else tiles:
        mine = order[tile * TILE_QUERIES : (tile + 1) * TILE_QUERIES]
        parts.append(_tile_ties(scores, mine, columns, relevant.of(mine), excluded(mine)))
        rows.append(mine)
    return np.concatenate(rows), _joined(parts)


def excluded_pairs(
    queries: Items, gallery: Items, own_group: OwnGroup, columns: Integers
) -> Callable[[Integers], Integers]:
    """Pairs that never count, as ``retrieval_protocol.exclusions`` marks them, listed for some queries at a time.

    Args:
        queries: Q images.
        gallery: M images.
        own_group: Whether the query's own group may be found.
        columns: The gallery's rows (M,) in the order they will be gone through.

    Returns:
        From rows of the queries (q,) to the pairs (P, 2), each once: place in these rows, place in ``columns``.
    """
    alike = [(queries.ids, gallery.ids), (queries.clusters, gallery.clusters)]
    if own_group == "excluded":
        alike.append((queries.groups, gallery.groups))
    same = [_Same(pair, columns) for pair in alike]
    return lambda rows: _union([pairs.of(rows) for pairs in same], len(columns))


class _Same:
    """Pairs of equal codes, listed for some queries at a time, with places in the gallery's new order."""

    def __init__(self, pair: tuple[AnyArray, AnyArray], columns: Integers) -> None:
        self.queries, gallery = codes(*pair)
        coded = gallery[columns]
        self.order = np.argsort(coded, kind="stable")
        self.sorted = coded[self.order]

    def of(self, rows: Integers) -> Integers:
        """(P, 2): place in ``rows``, place in the gallery."""
        low = np.searchsorted(self.sorted, self.queries[rows], side="left")
        counts = np.searchsorted(self.sorted, self.queries[rows], side="right") - low
        owner = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.stack([owner, self.order[low[owner] + within]], axis=1)


def _union(lists: Sequence[Integers], width: int) -> Integers:
    keys = np.unique(np.concatenate([pairs[:, 0] * width + pairs[:, 1] for pairs in lists]))
    return np.stack(np.divmod(keys, width), axis=1)


def _tile_ties(scores: Scores, rows: Integers, columns: Integers, relevant: Integers, barred: Integers) -> TieTable:
    width = len(columns)
    kept = relevant[~np.isin(relevant @ [width, 1], barred @ [width, 1])]
    found = np.empty(len(kept), np.float32)
    of_tile = kept[:, 1] // TILE_GALLERY
    for tile in np.unique(of_tile):
        here = of_tile == tile
        block = scores(rows, columns[tile * TILE_GALLERY : (tile + 1) * TILE_GALLERY])
        found[here] = block[kept[here, 0], kept[here, 1] - tile * TILE_GALLERY]
    levels, inside = np.unique(np.stack([kept[:, 0], found], axis=1).astype(np.float64), axis=0, return_counts=True)
    owner, limits = levels[:, 0].astype(np.int64), levels[:, 1].astype(np.float32)  # rising within a query
    bounds = np.searchsorted(owner, np.arange(len(rows) + 1))
    reached, equal = np.zeros(len(limits), np.int64), np.zeros(len(limits), np.int64)
    tile_of_barred = barred[:, 1] // TILE_GALLERY
    for tile in range(-(-width // TILE_GALLERY)):
        block = scores(rows, columns[tile * TILE_GALLERY : (tile + 1) * TILE_GALLERY])
        out = barred[tile_of_barred == tile]
        block[out[:, 0], out[:, 1] - tile * TILE_GALLERY] = -np.inf
        _count(block, limits, bounds, reached, equal)
    # reached[j] counts scores from limit j up to the next one: add the blocks above
    above = np.cumsum(reached[::-1])[::-1]
    start = above - equal - np.append(above, 0)[bounds[owner + 1]]
    candidates = width - np.bincount(barred[:, 0], minlength=len(rows))
    falling = np.lexsort((-limits, owner))
    return TieTable(owner, start[falling], equal[falling], inside[falling], candidates)


@njit(parallel=True, cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _count(
    block: NDArray[np.float32], limits: NDArray[np.float32], bounds: Integers, reached: Integers, equal: Integers
) -> None:
    """Add each score of (q, m) to the highest of its query's limits that it reaches."""
    for query in prange(len(block)):
        low, high = bounds[query], bounds[query + 1]
        if low == high:
            continue
        lowest = limits[low]
        for score in block[query]:
            if score >= lowest:
                at = low
                while at + 1 < high and score >= limits[at + 1]:
                    at += 1
                reached[at] += 1
                equal[at] += score == limits[at]


def _joined(parts: Sequence[TieTable]) -> TieTable:
    offsets = np.cumsum([0, *(len(part) for part in parts)])
    query = np.concatenate([part.query + offset for part, offset in zip(parts, offsets, strict=False)])
    names = ("start", "size", "inside", "n_candidates")
    return TieTable(query, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))
