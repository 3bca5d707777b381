"""Metrics from tie blocks are the textbook's, averaged over all orders of the ties, and scikit-learn's."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from tests.unit.evaluation.orders_of_ties import slow_metrics
from twinfolio.evaluation.ranking_metrics import retrieval_metrics
from twinfolio.evaluation.ties import dense_ties, runs

KS = (1, 2, 4, 9)  # the last is beyond every gallery here
query = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=6)
seeds = st.integers(0, 9999)


@settings(max_examples=120, deadline=None)
@given(rows=query)
def test_every_metric_is_its_mean_over_all_orders_of_the_ties(rows):
    scores, gains, excluded = (np.array(column, dtype=float)[None] for column in zip(*rows, strict=True))
    gains[excluded > 0] = 0
    result = retrieval_metrics(scores, gains > 0, excluded > 0, KS, "zero", 9, gains)
    kept = excluded[0] == 0
    expected = slow_metrics(scores[0][kept].tolist(), gains[0][kept].tolist(), KS, 9)
    curve = {f"curve@{place}": result.cmc_per_query[:, place - 1] for place in range(1, 10)}
    found = result.per_query | curve
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key][0] == pytest.approx(value, abs=1e-12), key


@settings(max_examples=40, deadline=None)
@given(seed=seeds, levels=st.integers(1, 6), k=st.sampled_from([None, 1, 3, 50]))
def test_graded_gains_give_scikit_learns_ndcg_ties_or_not(seed, levels, k):
    rng = np.random.default_rng(seed)
    scores, gains = rng.integers(0, levels, (6, 30)).astype(float), rng.choice([0, 0, 1, 2, 3.5], (6, 30))
    gains[:, 0] = 1
    result = retrieval_metrics(scores, gains > 0, ks=(1, 3, 50), gains=gains)
    expected = [ndcg_score(gains[q : q + 1], scores[q : q + 1], k=k) for q in range(6)]
    assert result.per_query["nDCG" if k is None else f"nDCG@{k}"] == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, share=st.floats(0.05, 0.9))
def test_map_is_scikit_learns_label_ranking_precision_where_nothing_ties(seed, share):
    rng = np.random.default_rng(seed)
    scores, relevant = rng.random((5, 25)), rng.random((5, 25)) < share
    relevant[:, 3] = True
    assume(not relevant.all(axis=1).any())
    expected = label_ranking_average_precision_score(relevant, scores)
    assert retrieval_metrics(scores, relevant).means()["mAP"] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, levels=st.integers(1, 5))
def test_a_table_accounts_for_every_relevant_candidate_once(seed, levels):
    rng = np.random.default_rng(seed)
    scores, gains = rng.integers(0, levels, (4, 9)).astype(float), rng.integers(0, 3, (4, 9)).astype(float)
    excluded = rng.random((4, 9)) < 0.3
    table, ideal = dense_ties(scores, gains, excluded), dense_ties(gains, gains, excluded)
    worth = np.where(excluded, 0, gains)
    assert table.n_relevant.tolist() == (worth > 0).sum(axis=1).tolist()
    assert table.total(table.gain).tolist() == worth.sum(axis=1).tolist()
    assert table.hits_within(9).tolist() == table.n_relevant.tolist()
    for name in ("query", "start", "size", "inside", "gain"):
        assert getattr(table.ideal, name).tolist() == getattr(ideal, name).tolist(), name


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2)), max_size=20))
def test_runs_hold_equal_pairs_and_fall_within_an_owner(rows):
    owner, value = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    order, heads, counts = runs(owner, value)
    keys = [(int(owner[i]), -int(value[i])) for i in order]
    assert keys == sorted(keys)
    assert [keys[head] for head in heads] == sorted(set(keys))
    assert counts.tolist() == [keys.count(keys[head]) for head in heads]
