import numpy as np
import pytest

from twinfolio.retrieval.fusion import FusionScorer, FusionWeights
from twinfolio.retrieval.scorers import DistanceScorer, WeightedScorer
from twinfolio.retrieval.search import NEAR_TIE, search, settle


def gallery(n=50, dim=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def test_the_first_k_are_those_of_a_full_sort_without_the_excluded():
    rows, queries = gallery(), gallery(5, seed=1)
    for scorer in (DistanceScorer(rows, "l2", 5.0, 2.0), WeightedScorer(rows, "l1", -np.ones(8, np.float32), 0.0)):
        scores = scorer.pairwise(queries)
        barred = [np.argsort(-scores[q])[:3] for q in range(5)]
        found = search(scorer, queries, 4, barred)
        expected = [[row for row in np.argsort(-scores[q]) if row not in barred[q]][:4] for q in range(5)]
        assert found.ids.tolist() == expected


def every_scorer(rows):
    dim = rows.shape[1]
    weights = [gallery(1, 5, seed=1)[0], gallery(5, dim, seed=2), gallery(5, dim, seed=3), gallery(1, 5, seed=4)[0]]
    fusion = FusionWeights(*weights, gallery(1, 5, seed=5)[0], 0.3)
    for distance in ("l1", "l2", "cosine"):
        yield DistanceScorer(rows, distance, 5.0, 2.0)
        yield WeightedScorer(rows, distance, gallery(1, dim, seed=6)[0], 0.1)
        yield FusionScorer(rows, distance, fusion)


@pytest.mark.parametrize("n_queries", [1, 2, 9])
@pytest.mark.parametrize("copies", [1, 40, 300])
def test_every_head_finds_what_a_full_scan_finds_however_many_rows_tie(n_queries, copies):
    draws = np.random.default_rng(copies)
    rows = draws.permutation(np.repeat(gallery(300 // copies), copies, axis=0))
    queries, everything = gallery(n_queries, seed=1), np.tile(np.arange(len(rows)), (n_queries, 1))
    queries[0] = rows[7]
    for scorer in every_scorer(rows):
        barred = [draws.choice(len(rows), 5, replace=False) for _ in range(n_queries)]
        scores = scorer.paired(queries, everything).astype(np.float64)
        for query, own in enumerate(barred):
            scores[query, own] = -np.inf
        expected_scores, expected = settle(scores, everything, 3)
        found = search(scorer, queries, 3, barred)
        assert found.ids.tolist() == expected.tolist()
        assert found.scores == pytest.approx(expected_scores, abs=1e-12)


def test_places_run_out_where_everything_is_excluded():
    found = search(DistanceScorer(gallery(3), "l2", 0.0, 1.0), gallery(1), 5, [np.array([0, 2])])
    assert found.ids.tolist() == [[1, -1, -1]]


def test_near_ties_come_in_the_order_of_rows_whatever_rounding_said():
    scores = np.array([[3.0, 3.0 + 4e-6, 3.0 - 4e-6, 1.0]])
    settled, rows = settle(scores, np.array([[7, 9, 2, 1]]), 4)
    assert rows.tolist() == [[2, 7, 9, 1]]
    assert settled.tolist() == [[3.0 + 4e-6] * 3 + [1.0]]


def test_a_chain_of_near_ties_does_not_tie_its_ends():
    scores = 3.0 - 0.7 * 3 * NEAR_TIE * np.arange(4)[None]
    assert settle(scores, np.array([[9, 8, 7, 6]]), 4)[1].tolist() == [[8, 9, 6, 7]]


def test_duplicates_of_the_query_tie_and_come_by_row():
    rows = np.repeat(gallery(1), 6, axis=0)
    assert search(DistanceScorer(rows, "cosine", 0.0, 10.0), gallery(1), 3).ids.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("k", [0, -1])
def test_k_must_be_positive(k):
    with pytest.raises(ValueError, match="must be >= 1"):
        search(DistanceScorer(gallery(3), "l2", 0.0, 1.0), gallery(1), k)


def test_a_query_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        search(DistanceScorer(gallery(3), "l2", 0.0, 1.0), gallery(1) * np.nan, 1)
