"""Queries that may belong to no known class: what the archive says of each class, and whether it should say anything.

A query is accepted where its best score reaches a threshold, which is set on queries that must find nothing and judged
on others, of classes that no training has seen.

Sources: Grother & Ngan 2014, NIST IR 8009 (open-set search: false positive identification, detection and identification
at rank 1); Hanley & McNeil 1982 (AUROC as the share of won comparisons); Davison & Hinkley 1997 (two-sample bootstrap).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from twinfolio.evaluation import streaming
from twinfolio.evaluation.arrays import AnyArray, Flags, Floats, Integers, finite_scores, same_length
from twinfolio.evaluation.bootstrap import Interval, bootstrap_share, group_totals
from twinfolio.evaluation.retrieval_protocol import Items, OwnGroup, candidates


@dataclass(frozen=True)
class Searches:
    """The first answer of each query.

    Attributes:
        scores: Best scores (Q,), finite.
        identified: Whether the best image is of the query's class (Q,); False for unknown classes.
        groups: Groups of the queries (Q,), the units of the intervals. For unknown queries the class may be given
            instead: the interval then also covers which manuscripts happened to be unknown.
    """

    scores: Floats
    identified: Flags
    groups: AnyArray

    def __post_init__(self) -> None:
        same_length(scores=finite_scores(self.scores, 1), identified=self.identified, groups=self.groups)

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: ArrayLike) -> Self:
        """The given queries (indices or a mask)."""
        at = np.asarray(rows)
        return type(self)(self.scores[at], self.identified[at], self.groups[at])


@dataclass(frozen=True)
class ClassScores:
    """What speaks for each class: its best image that the query may find.

    Attributes:
        classes: Classes of the gallery (C,), sorted.
        scores: Scores of the best images (Q, C) float32; -inf where the query may find no image of the class.
        rows: Their rows in the gallery (Q, C), the first of equals; -1 where there is none.
    """

    classes: AnyArray
    scores: NDArray[np.float32]
    rows: Integers

    def places(self, labels: ArrayLike) -> Integers:
        """Columns of the given classes (N,); -1 for a class that the gallery does not have."""
        names = np.asarray(labels)
        at = np.minimum(np.searchsorted(self.classes, names), len(self.classes) - 1)
        return np.where(self.classes[at] == names, at, -1)

    def mated(self, labels: ArrayLike) -> Flags:
        """Whether each query may find an image of its class (Q,): without one it cannot be identified."""
        place = self.places(labels)
        return np.asarray((place >= 0) & (self.rows[np.arange(len(place)), place] >= 0))

    def searches(self, queries: Items) -> Searches:
        """The first answer of each query; of equal scores the class that comes first.

        Raises:
            ValueError: A query may find nothing at all.
        """
        best = self.scores.argmax(axis=1)
        scores = np.take_along_axis(self.scores, best[:, None], axis=1)[:, 0].astype(np.float64)
        return Searches(scores, np.asarray(best == self.places(queries.labels)), queries.groups)


def best_scores(
    scores: streaming.Scores, queries: Items, gallery: Items, own_group: OwnGroup = "excluded"
) -> ClassScores:
    """The best score and image of every class for every query.

    Memory: the result and one tile of scores (16 MiB).

    Args:
        scores: Scores of any rows with any rows.
        queries: Q images.
        gallery: M images, labels of one kind with the queries'.
        own_group: Whether the query's own group and duplicates may be found; itself never is.

    Raises:
        ValueError: The gallery is empty, or a score is NaN.
    """
    parts = list(_tiles(scores, queries, gallery, own_group))
    classes = np.unique(gallery.labels)
    best = [np.empty((0, len(classes)), np.float32), *(best for _, best, _ in parts)]
    found = [np.empty((0, len(classes)), np.int64), *(found for _, _, found in parts)]
    return ClassScores(classes, np.concatenate(best), np.concatenate(found))


def impostor_scores(scores: streaming.Scores, queries: Items, gallery: Items) -> Floats:
    """Best score of each query with its own class left out of the gallery: known queries in the part of unknown ones.

    Training has told these classes apart, so a threshold set on them is too low for new ones.

    ``calibration.threshold_at_fmr(impostors, np.zeros(Q), rate)`` is the threshold that accepts at most the share
    ``rate`` of them.

    Args:
        scores: Scores of any rows with any rows.
        queries: Q images, of validation.
        gallery: M images.

    Returns:
        (Q,), -inf where nothing is left.

    Raises:
        ValueError: The gallery is empty, or a score is NaN.
    """
    out = np.empty(len(queries))
    classes = np.unique(gallery.labels)
    for rows, best, _ in _tiles(scores, queries, gallery, "excluded"):
        own = queries.labels[rows][:, None] == classes[None, :]
        out[rows] = np.where(own, -np.inf, best).max(axis=1)
    return out


def open_set_report(
    known: Searches, unknown: Searches, threshold: float, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, float]:
    """How well known and unknown queries are told apart, in general and at a threshold.

    Args:
        known: Queries of known classes that may find one of theirs (``ClassScores.mated``).
        unknown: Queries of classes that are not in the gallery.
        threshold: Accepted is score >= threshold; from validation.
        n: Resamples.
        seed: Seed of the resamples.
        confidence: Of the intervals.

    Returns:
        ``auroc`` (a known query scores higher than an unknown one), ``false_match_rate`` (unknown queries accepted),
        ``known_accepted``, ``known_identified`` (accepted, and the best image is of their class: the detection and
        identification rate at this false match rate), each with ``_low`` and ``_high``; ``threshold``, ``n_known``,
        ``n_unknown``.

    Raises:
        ValueError: A side has no query.
    """
    accepted = known.scores >= threshold
    shares = {
        "false_match_rate": (unknown.scores >= threshold, unknown.groups),
        "known_accepted": (accepted, known.groups),
        "known_identified": (accepted & known.identified, known.groups),
    }
    area, interval = auroc_interval(known, unknown, n, seed, confidence)
    report = {"auroc": area, "auroc_low": interval.low, "auroc_high": interval.high}
    for name, (hits, groups) in shares.items():
        low, high = bootstrap_share(hits, groups, n, seed, confidence)
        report |= {name: float(hits.mean()), f"{name}_low": low, f"{name}_high": high}
    return report | {"threshold": threshold, "n_known": len(known), "n_unknown": len(unknown)}


def auroc_interval(
    known: Searches, unknown: Searches, n: int = 1000, seed: int = 0, confidence: float = 0.95
) -> tuple[float, Interval]:
    """Area under the ROC curve, with a percentile interval from groups drawn anew on each side for itself.

    The comparisons between two groups are counted once; a resample then is a bilinear form of its group counts.

    Returns:
        The area, and the interval: NaN where a side has a single group.

    Raises:
        ValueError: A side has no query.
    """
    if not len(known) or not len(unknown):
        raise ValueError(f"{len(known)} known and {len(unknown)} unknown queries: there must be some of both")
    wins = _wins(known, unknown)
    sizes = [np.unique(side.groups, return_counts=True)[1].astype(np.float64) for side in (known, unknown)]
    area = float(wins.sum() / (len(known) * len(unknown)))
    if min(wins.shape) < 2:
        return area, Interval(float("nan"), float("nan"))
    generator = np.random.default_rng(seed)
    left, right = (generator.multinomial(len(size), np.full(len(size), 1 / len(size)), n) for size in sizes)
    values = ((left @ wins) * right).sum(axis=1) / ((left @ sizes[0]) * (right @ sizes[1]))
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return area, Interval(float(low), float(high))


def _wins(known: Searches, unknown: Searches) -> Floats:
    """(G, H) comparisons of a known group with an unknown one that the known query wins, ties as halves."""
    names, owner = np.unique(unknown.groups, return_inverse=True)
    columns = []
    for group in range(len(names)):
        rivals = np.sort(unknown.scores[owner == group])
        beaten, reached = (np.searchsorted(rivals, known.scores, side) for side in ("left", "right"))
        columns.append((beaten + reached) / 2)
    return group_totals(np.stack(columns, axis=1), known.groups)


def _tiles(
    scores: streaming.Scores, queries: Items, gallery: Items, own_group: OwnGroup
) -> Iterator[tuple[Integers, NDArray[np.float32], Integers]]:
    """Tiles of queries: their rows (q,), and the score and gallery row of each class's best image (q, C)."""
    if not len(gallery):
        raise ValueError("the gallery is empty")
    classes, label = np.unique(gallery.labels, return_inverse=True)
    columns = np.argsort(label, kind="stable").astype(np.int64)
    asked, width = candidates(queries, gallery, own_group), streaming.TILE_GALLERY
    place_of = np.argsort(columns)
    for start in range(0, len(queries), streaming.TILE_QUERIES):
        rows = np.arange(start, min(start + streaming.TILE_QUERIES, len(queries)))
        best = np.full((len(rows), len(classes)), -np.inf, np.float32)
        found = np.full(best.shape, -1, np.int64)
        barred = asked.of(rows)[1]
        tile_of, inside = np.divmod(place_of[barred.column], width)
        for tile in range(-(-len(columns) // width)):
            here = columns[tile * width : (tile + 1) * width]
            block = scores(rows, here).copy()
            if np.isnan(block).any():
                raise ValueError("scores hold NaN: no order is defined")
            out = tile_of == tile
            block[barred.place[out], inside[out]] = -np.inf
            _improve(block, here, label[here], best, found)
        yield rows, best, found


@njit(parallel=True, cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _improve(
    block: NDArray[np.float32], rows: Integers, label: Integers, best: NDArray[np.float32], found: Integers
) -> None:
    """Raise each query's best scores (q, C) by a block (q, m), whose columns are these gallery rows and classes."""
    for query in prange(len(block)):
        for at in range(len(rows)):
            if block[query, at] > best[query, label[at]]:
                best[query, label[at]] = block[query, at]
                found[query, label[at]] = rows[at]
