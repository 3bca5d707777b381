"""Who is compared with whom: queries, galleries and what never counts as found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from twinfolio.errors import DataError
from twinfolio.evaluation.arrays import AnyArray, Flags, Floats, Integers, codes, finite_scores, same_length
from twinfolio.evaluation.candidates import Candidates, EqualPairs, PairLists
from twinfolio.evaluation.ranking_metrics import RankingMetrics, dense_metrics
from twinfolio.evaluation.streaming import Scores, Stream, streaming_metrics

OwnGroup = Literal["included", "excluded"]


@dataclass(frozen=True)
class Items:
    """Images of one side of a comparison, a row an image.

    Args:
        ids: Image ids (N,), unique.
        labels: Classes (N,), names or numbers, of one kind on both sides.
        groups: Groups (N,): page, folio; the image id where there are none.
        clusters: Duplicate clusters (N,).
    """

    ids: AnyArray
    labels: AnyArray
    groups: AnyArray
    clusters: AnyArray

    def __post_init__(self) -> None:
        same_length(ids=self.ids, labels=self.labels, groups=self.groups, clusters=self.clusters)
        if len(np.unique(self.ids)) != len(self.ids):
            raise ValueError("image ids are not unique")

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Items:
        """Items of a table with the columns `image_id, label, group, cluster`."""
        names = (frame[column].to_numpy(dtype=str) for column in ("image_id", "label", "group", "cluster"))
        return cls(*names)

    def take(self, rows: ArrayLike) -> Items:
        """The given rows, in that order (indices or a mask)."""
        at = np.asarray(rows)
        return Items(self.ids[at], self.labels[at], self.groups[at], self.clusters[at])

    def join(self, other: Items) -> Items:
        """These items, then the other's."""
        return Items(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.groups, other.groups]),
            np.concatenate([self.clusters, other.clusters]),
        )


@dataclass(frozen=True)
class RetrievalResult:
    """Metrics of the queries of one protocol, with what intervals need.

    Args:
        metrics: Per-query metrics.
        queries: The queries, in the order of the metrics.
        n_gallery: Gallery images.
        own_group: Whether the query's own group could be found.
    """

    metrics: RankingMetrics
    queries: Items
    n_gallery: int
    own_group: OwnGroup

    def per_query(self) -> pd.DataFrame:
        """A row a query: `query, label, group, n_relevant`, then the metrics."""
        head = {"query": self.queries.ids, "label": self.queries.labels, "group": self.queries.groups}
        return pd.DataFrame(head | {"n_relevant": self.metrics.n_relevant} | self.metrics.per_query)

    def per_class(self) -> pd.DataFrame:
        """A row a class with queries that count: `label, queries`, then the mean metrics, by label."""
        frame = self.per_query()[self.metrics.scored]
        means = frame.groupby("label", sort=True)[list(self.metrics.per_query)].mean()
        means.insert(0, "queries", frame.groupby("label", sort=True).size())
        return means.reset_index()


def _equal(query: AnyArray, gallery: AnyArray) -> Flags:
    left, right = codes(query, gallery)
    return np.asarray(left[:, None] == right[None, :])


def relevance(query: Items, gallery: Items) -> Flags:
    """Pairs of one class (Q, M)."""
    return _equal(query.labels, gallery.labels)


def exclusions(query: Items, gallery: Items, own_group: OwnGroup) -> Flags:
    """Pairs that never count (Q, M): the image itself; where `excluded` also its duplicates and its own group."""
    mask = _equal(query.ids, gallery.ids)
    if own_group == "excluded":
        mask |= _equal(query.clusters, gallery.clusters) | _equal(query.groups, gallery.groups)
    return mask


def candidates(
    query: Items, gallery: Items, own_group: OwnGroup = "excluded", judged: PairLists | None = None
) -> Candidates:
    """Who may be found by whom, listed in pairs: `relevance` and `exclusions` without their Q x M flags.

    Args:
        query: The queries.
        gallery: The gallery.
        own_group: `excluded` bars the query itself, its duplicate cluster and its group; `included` bars the query
            itself alone: the difference between the two is what the leak is worth.
        judged: Relevant pairs and their gains; None: pairs of one class, each with gain 1.
    """
    barred = [EqualPairs(query.ids, gallery.ids)]
    if own_group == "excluded":
        barred += [EqualPairs(query.clusters, gallery.clusters), EqualPairs(query.groups, gallery.groups)]
    relevant = EqualPairs(query.labels, gallery.labels) if judged is None else judged
    return Candidates.by_name(relevant, tuple(barred), query.labels, gallery.labels)


def retrieval_protocol(
    scores: ArrayLike | Scores,
    query: Items,
    gallery: Items,
    own_group: OwnGroup = "excluded",
    ks: Sequence[int] = (1, 5, 10),
    cmc_length: int = 50,
    judged: PairLists | None = None,
    processes: int = 1,
) -> RetrievalResult:
    """Ranks the gallery for each query and scores the rankings.

    Args:
        scores: Scores (Q, M), finite, higher = more similar; or what computes them tile by tile (`streaming`), so that
            no matrix of them exists.
        query: The queries.
        gallery: The gallery.
        own_group: `excluded`: the query's duplicates and own group (page) are not in its gallery; `included`: they are,
            and only the query itself is not.
        ks: Cut-offs.
        cmc_length: Places of the cumulative match curve.
        judged: Relevant pairs with their gains, for nDCG by grade (`EqualPairs` with `finer`, `JudgedPairs`); None:
            pairs of one class, each with gain 1.
        processes: Processes that share the queries where scores are computed tile by tile; results do not depend on it.

    Returns:
        Per-query metrics; queries without a relevant image are NaN and counted.

    Raises:
        ValueError: Scores do not fit the items.
    """
    allowed = candidates(query, gallery, own_group, judged)
    if callable(scores):
        metrics = streaming_metrics(Stream(scores, allowed, tuple(ks), cmc_length), processes)
    else:
        array = finite_scores(scores, 2)
        if array.shape != (len(query), len(gallery)):
            raise ValueError(f"scores {array.shape} for {len(query)} queries and {len(gallery)} gallery images")
        metrics = dense_metrics(array, allowed, ks, cmc_length)
    return RetrievalResult(metrics.with_policy("exclude"), query, len(gallery), own_group)


@dataclass(frozen=True)
class _SomeQueries:
    """Scores of some of the queries."""

    scores: Scores
    rows: Integers

    def __call__(self, queries: Integers, gallery: Integers) -> NDArray[np.float32]:
        return self.scores(self.rows[queries], gallery)


def leave_one_out(
    scores: ArrayLike | Scores,
    items: Items,
    ks: Sequence[int] = (1, 5, 10),
    cmc_length: int = 50,
    processes: int = 1,
) -> RetrievalResult | None:
    """Retrieval inside one split: each image of a class with two groups there against all others.

    The query's own group is left out, or a page would find itself.

    Args:
        scores: Scores (N, N) of the split's images with each other, or what computes them tile by tile.
        items: The images.
        ks: Cut-offs.
        cmc_length: Places of the cumulative match curve.
        processes: See `retrieval_protocol`.

    Returns:
        The result over these queries; None where no class has two groups.
    """
    rows = np.flatnonzero(with_two_groups(items))
    if not len(rows):
        return None
    some = _SomeQueries(scores, rows) if callable(scores) else finite_scores(scores, 2)[rows]
    return retrieval_protocol(some, items.take(rows), items, "excluded", ks, cmc_length, processes=processes)


def with_two_groups(items: Items) -> Flags:
    """Images whose class has at least two groups among the items (N,)."""
    (labels,) = codes(items.labels)
    (groups,) = codes(items.groups)
    pairs = np.unique(np.stack([labels, groups], axis=1), axis=0)
    return np.asarray(np.bincount(pairs[:, 0])[labels] >= 2)


def owners(image_ids: ArrayLike) -> tuple[Integers, Integers]:
    """Images behind store rows.

    Args:
        image_ids: Image id of each row (T,), several rows an image where it was cut into tiles.

    Returns:
        The image number of each row (T,), images numbered by first appearance, and the first row of each (N,).
    """
    _, first, inverse = np.unique(np.asarray(image_ids), return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return number[inverse].astype(np.int64), first[order].astype(np.int64)


def average_rows(values: ArrayLike, owner: ArrayLike) -> Floats:
    """Means of rows (T, K) over their image -> (N, K).

    Raises:
        DataError: An image between 0 and the largest has no row.
    """
    array, number = np.asarray(values, dtype=np.float64), np.asarray(owner, dtype=np.int64)
    same_length(values=array, owner=number)
    counts = np.bincount(number)
    if (counts == 0).any():
        raise DataError(f"image {int(np.argmin(counts))} has no tile", "make the store again")
    if len(counts) == len(number):  # one tile each: a permutation, left bit for bit as it is
        return array[np.argsort(number)]
    sums = np.zeros((len(counts), array.shape[1]))
    np.add.at(sums, number, array)
    return np.asarray(sums / counts[:, None])


def average_tiles(scores: ArrayLike, query_owner: ArrayLike, gallery_owner: ArrayLike) -> Floats:
    """Averages tile scores over the tiles of both images.

    Args:
        scores: Scores of tiles (S, T).
        query_owner: Query image 0..Q-1 of each tile row (S,), as `owners` numbers them.
        gallery_owner: Gallery image 0..M-1 of each tile column (T,).

    Returns:
        Scores of images (Q, M).
    """
    return average_rows(average_rows(finite_scores(scores, 2), query_owner).T, gallery_owner).T
