"""Streaming over tiles gives the metrics of the whole matrix, bit for bit, whatever tiles and whoever takes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.evaluation import streaming
from twinfolio.evaluation.candidates import EqualPairs, JudgedPairs
from twinfolio.evaluation.ranking_metrics import RankingMetrics
from twinfolio.evaluation.retrieval_protocol import Items, candidates, exclusions, relevance, retrieval_protocol
from twinfolio.evaluation.streaming import Stream, streaming_metrics
from twinfolio.evaluation.ties import dense_ties

quick = settings(max_examples=60, deadline=None)
own_groups = st.sampled_from(["included", "excluded"])
cases = st.tuples(st.integers(0, 9999), st.integers(1, 9), st.integers(1, 40), st.integers(1, 6))
tilings = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 60))


def items(rng, n, ids):
    labels, groups, clusters = (rng.integers(0, count, n).astype(str) for count in (3, 4, 30))
    return Items(ids, labels, groups, clusters)


def draw(case):
    """Tied scores; queries and gallery share some images."""
    seed, n, m, levels = case
    rng = np.random.default_rng(seed)
    names = np.array([f"i{i}" for i in range(n + m)])
    queries, gallery = items(rng, n, rng.permutation(names)[:n]), items(rng, m, rng.permutation(names)[:m])
    return rng, rng.integers(0, levels, (n, m)).astype(np.float32), queries, gallery


def tiled(patch, tiling):
    for name, size in zip(("TILE_QUERIES", "TILE_GALLERY", "TILE_PAIRS"), tiling, strict=True):
        patch.setattr(streaming, name, size)


def same(left, right):
    for key, value in left.per_query.items():
        np.testing.assert_array_equal(value, right.per_query[key], key)
    for name in ("cmc_per_query", "n_relevant", "n_candidates"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), name)


@quick
@given(case=cases, tiling=tilings, own_group=own_groups)
def test_tiles_give_the_table_of_the_whole(case, tiling, own_group):
    _, scores, queries, gallery = draw(case)
    stream = Stream(lambda q, g: scores[np.ix_(q, g)], candidates(queries, gallery, own_group))
    masks = relevance(queries, gallery), exclusions(queries, gallery, own_group)
    with pytest.MonkeyPatch.context() as patch:
        tiled(patch, tiling)
        for rows in stream.tiles():
            table, whole = stream.ties(rows), dense_ties(scores[rows], masks[0][rows], masks[1][rows])
            for name in ("query", "start", "size", "inside", "gain", "n_candidates"):
                assert getattr(table, name).tolist() == getattr(whole, name).tolist(), name


@quick
@given(case=cases, tiling=tilings, own_group=own_groups, judging=st.sampled_from(["class", "finer", "judged"]))
def test_streaming_is_dense_bit_for_bit(case, tiling, own_group, judging):
    rng, scores, queries, gallery = draw(case)
    judged = None
    if judging == "finer":
        judged = EqualPairs(queries.labels, gallery.labels, (queries.groups, gallery.groups))
    if judging == "judged":
        rows, columns = np.nonzero(rng.random(scores.shape) < 0.3)
        judged = JudgedPairs(rows, columns, rng.integers(1, 4, len(rows)), len(queries))
    dense = retrieval_protocol(scores, queries, gallery, own_group, (1, 3, 50), 7, judged)
    with pytest.MonkeyPatch.context() as patch:
        tiled(patch, tiling)
        tile_scores = lambda q, g: scores[np.ix_(q, g)]  # noqa: E731
        streamed = retrieval_protocol(tile_scores, queries, gallery, own_group, (1, 3, 50), 7, judged)
    same(dense.metrics, streamed.metrics)


@quick
@given(case=cases, tiling=tilings, seed=st.integers(0, 99))
def test_any_sharing_of_the_tiles_gives_the_same_numbers(case, tiling, seed):
    _, scores, queries, gallery = draw(case)
    stream = Stream(lambda q, g: scores[np.ix_(q, g)], candidates(queries, gallery))
    with pytest.MonkeyPatch.context() as patch:
        tiled(patch, tiling)
        whole, tiles = streaming_metrics(stream), stream.tiles()
        assert np.sort(np.concatenate(tiles)).tolist() == list(range(len(queries)))
        shares = [tiles[i] for i in np.random.default_rng(seed).permutation(len(tiles))]
        joined = RankingMetrics.join([stream.metrics(rows) for rows in shares])
    same(whole, joined.take(np.argsort(np.concatenate(shares))))
