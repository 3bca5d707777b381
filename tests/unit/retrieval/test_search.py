import numpy as np
import pytest

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
