from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tests.unit.evaluation.orders_of_ties import slow_metrics
from twinfolio.evaluation.ranking_metrics import macro_mean, retrieval_metrics


@pytest.mark.parametrize("seed", range(12))
def test_every_metric_is_its_mean_over_all_orders_of_the_ties(seed):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 3, 6).astype(float)
    gains = generator.integers(0, 4, 6) * (generator.random(6) < 0.5)
    gains[generator.integers(6)] = 1
    ks = (1, 2, 5, 8)
    result = retrieval_metrics(scores[None], gains[None] > 0, ks=ks, gains=gains[None])
    expected = slow_metrics(scores.tolist(), gains.tolist(), ks, length=0)
    assert result.per_query.keys() == expected.keys()
    for key, value in expected.items():
        assert result.per_query[key][0] == pytest.approx(value), key


def test_average_precision_is_scikit_learns_where_nothing_ties():
    generator = np.random.default_rng(3)
    scores, relevant = generator.normal(size=(20, 40)), generator.random((20, 40)) < 0.2
    relevant[:, 0] = True
    expected = [average_precision_score(relevant[q], scores[q]) for q in range(20)]
    assert retrieval_metrics(scores, relevant).per_query["mAP"] == pytest.approx(expected)


def test_excluded_candidates_are_as_good_as_absent():
    generator = np.random.default_rng(4)
    scores, relevant = generator.integers(0, 5, (1, 12)).astype(float), generator.random((1, 12)) < 0.5
    excluded = generator.random((1, 12)) < 0.4
    relevant[0, np.flatnonzero(~excluded[0])[0]] = True
    masked = retrieval_metrics(scores, relevant, excluded, ks=(1, 3, 11))
    kept = ~excluded[0]
    cut = retrieval_metrics(scores[:, kept], relevant[:, kept], ks=(1, 3, 11))
    for key, value in cut.per_query.items():
        assert masked.per_query[key] == pytest.approx(value), key
    assert masked.n_candidates[0] == kept.sum()


def test_a_constant_scorer_gets_the_share_of_relevant_images_at_every_cut_off():
    relevant = np.zeros((1, 10), bool)
    relevant[0, :2] = True
    result = retrieval_metrics(np.zeros((1, 10)), relevant, ks=(1, 5))
    assert result.per_query["P@1"][0] == pytest.approx(0.2)
    assert result.per_query["P@5"][0] == pytest.approx(0.2)
    assert result.per_query["cmc@5"][0] == pytest.approx(1 - (8 * 7 * 6 * 5 * 4) / (10 * 9 * 8 * 7 * 6))


def test_scores_at_or_below_zero_still_retrieve():
    result = retrieval_metrics(np.array([[-5.0, -1.0, 0.0]]), np.array([[False, False, True]]))
    assert result.per_query["mAP"][0] == 1


def test_a_query_without_a_relevant_image_follows_the_policy_and_is_counted():
    scores, relevant = np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[False, True], [True, True]])
    excluded = np.array([[False, True], [False, False]])
    left_out = retrieval_metrics(scores, relevant, excluded)
    assert left_out.n_empty == 1
    assert left_out.means()["mAP"] == 1
    assert left_out.cmc[0] == 1
    zero = retrieval_metrics(scores, relevant, excluded, empty="zero")
    assert zero.means()["mAP"] == 0.5
    with pytest.raises(ValueError, match="1 queries"):
        retrieval_metrics(scores, relevant, excluded, empty="raise")


def test_means_are_nan_where_no_query_counts():
    result = retrieval_metrics([[1.0, 2.0]], [[False, False]])
    assert np.isnan(result.means()["mAP"])
    assert np.isnan(result.cmc).all()


def test_blocks_of_queries_do_not_change_the_result(monkeypatch):
    generator = np.random.default_rng(5)
    scores, relevant = generator.integers(0, 9, (9, 20)).astype(float), generator.random((9, 20)) < 0.3
    whole = retrieval_metrics(scores, relevant)
    monkeypatch.setattr("twinfolio.evaluation.ranking_metrics._BLOCK_CELLS", 40)
    parts = retrieval_metrics(scores, relevant)
    for key in whole.per_query:
        np.testing.assert_array_equal(whole.per_query[key], parts.per_query[key])


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        retrieval_metrics([[np.nan]], [[True]])
    with pytest.raises(ValueError, match="shapes"):
        retrieval_metrics([[1.0]], [[True, False]])
    with pytest.raises(ValueError, match="nothing to rank"):
        retrieval_metrics([[1.0]], [[True]], ks=(0,))


@pytest.mark.parametrize(
    ("gains", "message"),
    [([[1.0, 1.0]], "above 0"), ([[0.0, 0.0]], "above 0"), ([[np.inf, 0.0]], "finite"), ([[1.0]], "shapes")],
)
def test_gains_that_contradict_relevance_are_refused(gains, message):
    with pytest.raises(ValueError, match=message):
        retrieval_metrics([[1.0, 2.0]], [[True, False]], gains=gains)


def test_without_gains_every_relevant_image_counts_one():
    scores, relevant = np.array([[3.0, 2.0, 1.0]]), np.array([[False, True, True]])
    plain, graded = (retrieval_metrics(scores, relevant, gains=gains) for gains in (None, 7.0 * relevant))
    assert plain.per_query["nDCG"] == pytest.approx(graded.per_query["nDCG"])
    assert plain.per_query["nDCG@1"][0] == plain.per_query["P@1"][0]


def test_a_macro_mean_weighs_classes_and_not_queries():
    assert macro_mean([1.0, 1.0, 1.0, 0.0, np.nan], ["a", "a", "a", "b", "c"]) == (0.5, 2)
    assert macro_mean([np.nan], ["a"])[1] == 0
