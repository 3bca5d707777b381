import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import ndcg_score, roc_auc_score

from twinfolio.evaluation.judged import judged_pairs, judged_ranking

SIM = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]])


def test_a_perfect_ranking_reaches_the_ceiling_and_queries_without_answer_are_counted():
    found = judged_ranking(SIM, SIM, ks=(1, 2, 5))
    assert found.left_out == 1
    np.testing.assert_array_equal(found.kept, [True, False, True])
    for k in (1, 2, 5):
        assert found.metrics.per_query[f"P@{k}"].mean() == pytest.approx(found.ceiling[k])
    assert found.ceiling == {1: 1.0, 2: 0.75, 5: pytest.approx(0.3)}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_equal_scores_are_worth_chance(seed):
    sim = np.random.default_rng(seed).random((6, 9)) < 0.3
    sim[0, 0] = True
    found = judged_ranking(np.zeros(sim.shape), sim, ks=(1, 5, 20))
    for k, chance in found.chance.items():
        assert found.metrics.per_query[f"P@{k}"].mean() == pytest.approx(chance)


def test_ndcg_gains_by_grade_as_scikit_learn_has_it():
    rng = np.random.default_rng(0)
    fov = np.where(rng.random((8, 30)) < 0.3, rng.random((8, 30)), 0)
    fov[:, 0] = 0.5
    scores = rng.random(fov.shape)
    found = judged_ranking(scores, fov > 0, fov, ks=(5, 10))
    for k in (5, 10):
        assert found.metrics.per_query[f"nDCG@{k}"].mean() == pytest.approx(ndcg_score(fov, scores, k=k))
    plain = judged_ranking(scores, fov > 0, ks=(5, 10))
    np.testing.assert_array_equal(found.metrics.per_query["P@5"], plain.metrics.per_query["P@5"])


def test_pairs_are_measured_as_scipy_and_scikit_learn_do():
    rng = np.random.default_rng(0)
    target = rng.random(400)
    said = np.clip(target + rng.normal(0, 0.1, 400), 0, 1)
    found = judged_pairs(said, target, target > 0.5)
    assert found["within_0.1"] == np.mean(np.abs(said - target) < 0.1)
    assert found["auroc"] == pytest.approx(roc_auc_score(target > 0.5, said))
    assert found["spearman"] == pytest.approx(spearmanr(said, target).statistic)
    assert found["brier"] == pytest.approx(np.mean((said - (target > 0.5)) ** 2))
    assert found["mae"] == pytest.approx(np.abs(said - target).mean())


def test_a_collapsed_model_is_seen_by_its_spread():
    found = judged_pairs(np.full(10, 0.5), np.repeat([0, 1], 5), np.repeat([0, 1], 5))
    assert (found["within_0.1"], found["spread"], found["auroc"]) == (0, 0, 0.5)
    assert np.isnan(found["spearman"])


@pytest.mark.parametrize(
    ("scores", "sim", "said"),
    [(np.zeros((2, 3)), np.zeros((2, 3)), "no query"), (np.zeros((2, 3)), np.ones((3, 2)), "shapes differ")],
)
def test_what_cannot_be_ranked_is_refused(scores, sim, said):
    with pytest.raises(ValueError, match=said):
        judged_ranking(scores, sim)


def test_predictions_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        judged_pairs([1.2], [1], [True])
    with pytest.raises(ValueError, match="lengths differ or are 0"):
        judged_pairs([], [], [])
