"""Metrics from tie blocks are those of the sorted matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.evaluation.ranking_metrics import retrieval_metrics
from twinfolio.evaluation.ties import dense_ties

cases = st.tuples(st.integers(0, 9999), st.integers(1, 9), st.integers(1, 40), st.integers(1, 6))


def draw(case):
    seed, queries, gallery, levels = case
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (queries, gallery)).astype(float)
    return scores, rng.random(scores.shape) < 0.3, rng.random(scores.shape) < 0.2


@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_metrics_of_ties_are_those_of_the_matrix(case):
    scores, relevant, excluded = draw(case)
    expected = retrieval_metrics(scores, relevant, excluded, ks=(1, 3), empty="zero", cmc_length=5)
    ties = dense_ties(scores, relevant, excluded)
    divisor = np.maximum(ties.n_relevant, 1)
    curve, reciprocal = ties.first_hit(5)
    assert ties.n_relevant.tolist() == expected.n_relevant.tolist()
    assert ties.n_candidates.tolist() == expected.n_candidates.tolist()
    assert ties.average_precision() / divisor == pytest.approx(expected.per_query["mAP"], abs=1e-12)
    assert ties.hits_within(3) / 3 == pytest.approx(expected.per_query["P@3"], abs=1e-12)
    assert ties.hits_within(divisor) / divisor == pytest.approx(expected.per_query["r_precision"], abs=1e-12)
    assert reciprocal == pytest.approx(expected.per_query["MRR"], abs=1e-12)
    assert curve == pytest.approx(expected.cmc_per_query, abs=1e-12)
