from __future__ import annotations

import numpy as np
import pytest

from twinfolio.retrieval.ranking import Ranking, rank


def ranking(scores, ids, query_ids=None, excluded=None):
    scores = np.array(scores, dtype=np.float64)
    own = np.full(len(scores), -1) if query_ids is None else np.array(query_ids)
    return Ranking(own, scores, np.array(ids), excluded)


def test_ties_come_in_order_of_gallery_row():
    result = rank(np.array([[1.0, 3.0, 1.0, 3.0, 2.0]]))
    assert result.ids.tolist() == [[1, 3, 4, 0, 2]]
    assert result.scores.tolist() == [[3, 3, 2, 1, 1]]


def test_the_query_itself_and_excluded_rows_are_not_ranked_and_leave_empty_places():
    excluded = np.array([[False, True, False, False]])
    result = rank(np.array([[9.0, 8.0, 7.0, 6.0]]), excluded, query_ids=[0])
    assert result.ids.tolist() == [[2, 3, -1, -1]]
    assert result.filled.tolist() == [[True, True, False, False]]
    assert not excluded[0, 0], "the caller's mask is left alone"


def test_k_keeps_the_first_places_of_the_whole_ranking():
    scores = np.random.default_rng(0).integers(0, 4, (6, 9)).astype(float)
    assert (rank(scores, k=4).ids == rank(scores).ids[:, :4]).all()
    assert rank(scores, k=99).ids.shape == (6, 9)


def test_blocks_of_queries_do_not_change_the_result(monkeypatch):
    scores = np.random.default_rng(1).normal(size=(7, 5))
    whole = rank(scores)
    monkeypatch.setattr("twinfolio.retrieval.ranking._BLOCK_CELLS", 10)
    assert (rank(scores).ids == whole.ids).all()


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("falling order", {"scores": [[1, 2]], "ids": [[0, 1]]}),
        ("ties", {"scores": [[2, 2]], "ids": [[1, 0]]}),
        ("twice", {"scores": [[3, 2]], "ids": [[1, 1]]}),
        ("itself", {"scores": [[3, 2]], "ids": [[1, 0]], "query_ids": [0]}),
        ("excluded", {"scores": [[3, 2]], "ids": [[1, 0]], "excluded": np.array([[True, False]])}),
        ("shapes", {"scores": [[3, 2]], "ids": [[1]]}),
        ("shapes", {"scores": [[3, 2]], "ids": [[0, 1]], "query_ids": [-1, -1]}),
        ("NaN", {"scores": [[np.nan, 2]], "ids": [[0, 1]]}),
        ("empty place", {"scores": [[3, 2]], "ids": [[0, -1]]}),
        ("empty place", {"scores": [[3, -np.inf]], "ids": [[0, 1]]}),
    ],
)
def test_a_ranking_refuses_to_be_wrong(message, arguments):
    with pytest.raises(ValueError, match=message):
        ranking(**arguments)


def test_scores_that_have_no_order_and_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="finite"):
        rank([[np.nan, 1.0]])
    with pytest.raises(ValueError, match="k = 0"):
        rank([[1.0]], k=0)
    with pytest.raises(ValueError, match="shapes differ"):
        rank([[1.0, 2.0]], np.zeros((1, 3), bool))
