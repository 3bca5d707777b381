"""Frozen verification pairs: a query of one split with an image of the archive.

Never of one group: inside a page-disjoint split nearly every positive would otherwise be a same-page pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from twinfolio.errors import DataError
from twinfolio.evaluation.arrays import AnyArray, Flags, Floats, Integers, codes, finite_scores
from twinfolio.evaluation.retrieval_protocol import Items, exclusions, relevance
from twinfolio.evaluation.streaming import Scores

_PAIRS_AT_ONCE = 1000
"""At most this many queries with this many archive images are scored to look a block of pairs up."""


@dataclass(frozen=True)
class PairCounts:
    """What a pair list is made of.

    Args:
        queries: Queries with pairs.
        queries_without_positive: Queries for which the archive has no admissible image of their class.
        classes: Classes with pairs.
        positives: Positive pairs.
        negatives: Negative pairs.
    """

    queries: int
    queries_without_positive: int
    classes: int
    positives: int
    negatives: int


def build_pairs(
    query: Items, archive: Items, positives_per_query: int = 10, min_positives: int = 10, seed: int = 0
) -> tuple[pd.DataFrame, PairCounts]:
    """Draws the pairs; the same images give the same pairs in whatever order they come.

    Negatives are uniform over classes: a query's negatives go round the other classes in random order, one random
    image each, and round again where there are more negatives than classes.

    Args:
        query: Images of the split.
        archive: Images to compare them with; may contain the queries.
        positives_per_query: Positive pairs of each query, fewer where the archive has fewer.
        min_positives: A class with fewer admissible positive pairs than this keeps all of them.
        seed: Seed of the draw.

    Returns:
        A table `query, archive, label` (label 1 = same class) sorted by query, then label falling, then archive,
        and the counts.

    Raises:
        DataError: No query has an admissible positive.
    """
    query, archive = query.take(np.argsort(query.ids)), archive.take(np.argsort(archive.ids))
    same, barred = relevance(query, archive), exclusions(query, archive, "excluded")
    positive, negative = same & ~barred, ~same & ~barred
    wanted = _positives_wanted(query.labels, positive, positives_per_query, min_positives)
    (classes,) = codes(archive.labels)
    generator = np.random.default_rng(seed)
    rows = [_pairs_of(i, positive[i], negative[i], int(wanted[i]), classes, generator) for i in range(len(query))]
    pairs = np.concatenate([*rows, np.empty((0, 3), np.int64)])
    if not len(pairs):
        raise DataError(
            "no verification pair: no query has another group's image of its class",
            "give every class at least two groups",
        )
    frame = pd.DataFrame({"query": query.ids[pairs[:, 0]], "archive": archive.ids[pairs[:, 1]], "label": pairs[:, 2]})
    used = np.unique(pairs[:, 0])
    n_positives = int(pairs[:, 2].sum())
    without = int((~positive.any(axis=1)).sum())
    n_classes = len(np.unique(query.labels[used]))
    return frame, PairCounts(len(used), without, n_classes, n_positives, len(pairs) - n_positives)


def _positives_wanted(labels: AnyArray, positive: Flags, per_query: int, min_positives: int) -> Integers:
    available = positive.sum(axis=1)
    (classes,) = codes(labels)
    of_class = np.bincount(classes, weights=available)[classes]
    wanted = np.where(of_class < min_positives, available, np.minimum(available, per_query))
    return np.asarray(wanted, dtype=np.int64)


def _pairs_of(
    row: int, positive: Flags, negative: Flags, wanted: int, classes: Integers, generator: np.random.Generator
) -> Integers:
    """Pairs of one query (P, 3): query row, archive row, label; balanced also where negatives are scarce."""
    wanted = min(wanted, int(negative.sum()))
    same = np.sort(generator.permutation(np.flatnonzero(positive))[:wanted])
    other = np.sort(_round_of_classes(np.flatnonzero(negative), classes, wanted, generator))
    archive = np.concatenate([same, other])
    labels = np.repeat([1, 0], [len(same), len(other)])
    return np.stack([np.full(len(archive), row), archive, labels], axis=1).astype(np.int64)


def _round_of_classes(rows: Integers, classes: Integers, wanted: int, generator: np.random.Generator) -> Integers:
    """`wanted` of the rows: every class once in random order, then every class a second time, ..."""
    rows = generator.permutation(rows)
    of_row = classes[rows]
    by_class = np.argsort(of_row, kind="stable")
    grouped = of_row[by_class]
    turn = np.arange(len(rows)) - np.searchsorted(grouped, grouped)  # how many of its class come before it
    lot = generator.random(len(rows))
    return np.asarray(rows[by_class][np.lexsort((lot, turn))[:wanted]], dtype=np.int64)


def pair_scores(pairs: pd.DataFrame, scores: Scores, query_ids: ArrayLike, archive_ids: ArrayLike) -> Floats:
    """Scores of the pairs (P,), computed for a few queries and their archive images at a time.

    Args:
        pairs: ``query, archive``.
        scores: Of any rows with any columns.
        query_ids: Image ids of the rows.
        archive_ids: Image ids of the columns.

    Raises:
        DataError: A pair names an unknown image.
    """
    rows, columns = positions(pairs["query"], query_ids), positions(pairs["archive"], archive_ids)
    found = np.empty(len(pairs))
    order = np.argsort(rows, kind="stable")
    for start in range(0, len(order), _PAIRS_AT_ONCE):
        here = order[start : start + _PAIRS_AT_ONCE]
        (left, at_left), (right, at_right) = (np.unique(part[here], return_inverse=True) for part in (rows, columns))
        found[here] = scores(left, right)[at_left, at_right]
    return finite_scores(found, 1)


def pair_groups(pairs: pd.DataFrame, query: Items) -> AnyArray:
    """Group of each pair's query (P,): the unit of folds and resamples."""
    return query.groups[positions(pairs["query"], query.ids)]


def positions(wanted: ArrayLike, ids: ArrayLike) -> Integers:
    """Where each wanted id stands among ids.

    Raises:
        DataError: One is missing; it is named.
    """
    found = pd.Index(np.asarray(ids)).get_indexer(np.asarray(wanted))
    if (found < 0).any():
        missing = np.asarray(wanted)[int(np.argmin(found))]
        raise DataError(f"the pair list names an unknown image: {missing}", "make the pair list and embeddings again")
    return np.asarray(found, dtype=np.int64)
