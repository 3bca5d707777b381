from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tests.unit.evaluation.tile_scores import InnerProduct
from twinfolio.evaluation import streaming
from twinfolio.evaluation.retrieval_protocol import (
    Items,
    average_tiles,
    candidates,
    leave_one_out,
    retrieval_protocol,
)
from twinfolio.evaluation.streaming import Stream, TileMeans, streaming_metrics


def scene(n, n_classes, seed=0):
    """Items in pages of three, some of them duplicates, and embeddings near their class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n)
    pages = np.array([f"{label}/{page}" for label, page in zip(labels, rng.integers(n // 3, size=n), strict=True)])
    ids = np.array([f"i{number}" for number in range(n)])
    vectors = rng.normal(size=(n_classes, 16))[labels] + 1.5 * rng.normal(size=(n, 16))
    return Items(ids, labels, pages, rng.integers(n - n // 9, size=n)), vectors.astype(np.float32)


def test_two_processes_give_the_numbers_of_one_bit_for_bit():
    items, vectors = scene(1100, 40)  # two tiles of queries
    scores = InnerProduct(vectors, vectors)
    alone = retrieval_protocol(scores, items, items)
    shared = retrieval_protocol(scores, items, items, processes=2)
    assert len(Stream(scores, candidates(items, items)).tiles()) == 2
    for key, value in alone.metrics.per_query.items():
        np.testing.assert_array_equal(value, shared.metrics.per_query[key], key)
    np.testing.assert_array_equal(alone.metrics.cmc_per_query, shared.metrics.cmc_per_query)
    assert 0.1 < alone.metrics.means()["mAP"] < 0.9


def test_real_scores_give_the_metrics_of_their_matrix():
    items, vectors = scene(400, 9)
    vectors = np.round(2 * vectors)  # whole numbers: exact in any order of summation, and often tied
    dense = retrieval_protocol(vectors @ vectors.T, items, items)
    streamed = retrieval_protocol(InnerProduct(vectors, vectors), items, items)
    for key, value in dense.metrics.per_query.items():
        np.testing.assert_array_equal(value, streamed.metrics.per_query[key], key)


def test_leave_one_out_takes_scores_tile_by_tile():
    items, vectors = scene(300, 60)
    vectors = np.round(2 * vectors)
    dense, streamed = leave_one_out(vectors @ vectors.T, items), leave_one_out(InnerProduct(vectors, vectors), items)
    assert len(dense.queries) < 300
    np.testing.assert_array_equal(dense.metrics.per_query["mAP"], streamed.metrics.per_query["mAP"])
    assert leave_one_out(InnerProduct(vectors, vectors), items.take([0])) is None


@pytest.mark.parametrize(("query_tiles", "gallery_tiles"), [(3, 2), (1, 2), (2, 1), (1, 1)])
def test_images_cut_into_tiles_score_the_mean_of_their_pairs(query_tiles, gallery_tiles):
    rng = np.random.default_rng(0)
    query_owner = rng.permutation(np.append(np.arange(9), rng.integers(9, size=9 * (query_tiles - 1))))
    gallery_owner = rng.permutation(np.append(np.arange(12), rng.integers(12, size=12 * (gallery_tiles - 1))))
    tiles = rng.normal(size=(len(query_owner), len(gallery_owner))).astype(np.float32)
    means = TileMeans(lambda q, g: tiles[np.ix_(q, g)], query_owner, gallery_owner)
    rows, columns = np.array([4, 0, 8]), np.array([11, 2, 3, 1])
    expected = average_tiles(tiles, query_owner, gallery_owner)[np.ix_(rows, columns)]
    assert means(rows, columns) == pytest.approx(expected, abs=1e-6)
    assert means(rows, columns).dtype == np.float32
    with pytest.raises(ValueError, match="no tile"):
        TileMeans(lambda q, g: tiles[np.ix_(q, g)], query_owner * 2, gallery_owner)


def test_memory_grows_with_the_images_and_not_with_their_pairs(monkeypatch):
    monkeypatch.setattr(streaming, "TILE_QUERIES", 64)
    monkeypatch.setattr(streaming, "TILE_GALLERY", 128)
    items, vectors = scene(3000, 300)
    stream = Stream(lambda q, g: vectors[q] @ vectors[g].T, candidates(items, items), (1,), 5)
    stream.metrics(stream.tiles()[0])  # compiled before the measurement
    tracemalloc.start()
    streaming_metrics(stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 3000 / 4, "a bit a pair would be half of that"


def test_the_scores_are_read_and_never_written_to():
    items, vectors = scene(60, 5)
    matrix = vectors @ vectors.T
    matrix.flags.writeable = False
    everything = np.arange(60)
    order = candidates(items, items).columns
    assert not np.array_equal(order, everything)
    result = retrieval_protocol(lambda q, g: matrix[q][:, g], items, items)
    assert result.metrics.scored.any()


def test_a_query_alone_and_a_query_that_may_find_nothing():
    items, vectors = scene(40, 3)
    alone = retrieval_protocol(InnerProduct(vectors[:1], vectors), items.take([0]), items)
    assert alone.metrics.n_candidates[0] < 40
    page = Items(items.ids, items.labels, np.full(40, "one page"), items.ids)
    nothing = retrieval_protocol(InnerProduct(vectors, vectors), page, page)
    assert nothing.metrics.n_empty == 40
    assert nothing.metrics.n_candidates.tolist() == [0] * 40
    assert np.isnan(nothing.metrics.means()["nDCG"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_without_an_order_are_refused(value):
    items, vectors = scene(30, 3)
    vectors[7] = value
    with pytest.raises(ValueError, match="NaN or infinity"), np.errstate(invalid="ignore"):
        retrieval_protocol(InnerProduct(vectors, vectors), items, items)


def test_scores_of_another_shape_and_empty_sides_are_refused():
    items, vectors = scene(30, 3)
    with pytest.raises(ValueError, match=r"scores \(30, 29\) for 30 queries and 30 gallery rows"):
        retrieval_protocol(lambda q, g: np.zeros((len(q), len(g) - 1), np.float32), items, items)
    with pytest.raises(ValueError, match="nothing to rank"):
        retrieval_protocol(InnerProduct(vectors, vectors), items, items.take(np.arange(0)))
    with pytest.raises(ValueError, match="nothing to rank"):
        retrieval_protocol(InnerProduct(vectors, vectors), items, items, ks=(0,))
