"""Laws of intervals and tests."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from twinfolio.evaluation.bootstrap import bootstrap_interval, wilson_interval
from twinfolio.evaluation.significance import paired_difference, paired_permutation_test, sign_test

quick = settings(max_examples=25, deadline=None)
rows = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 6)), min_size=2, max_size=30)


def columns(drawn):
    a, b, groups = np.array(drawn, dtype=float).T
    return a, b, groups


@quick
@given(rows, st.integers(0, 99))
def test_an_interval_stays_within_the_groups_means_and_moves_with_the_values(drawn, seed):
    a, _, groups = columns(drawn)
    low, high = bootstrap_interval(a, groups, 50, seed)
    if len(np.unique(groups)) < 2:
        assert np.isnan(low)
        return
    means = [a[groups == g].mean() for g in np.unique(groups)]
    assert min(means) - 1e-9 <= low <= high <= max(means) + 1e-9
    assert np.allclose(bootstrap_interval(a + 3, groups, 50, seed), (low + 3, high + 3))


@quick
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(drawn, random):
    a, b, groups = columns(drawn)
    order = list(range(len(a)))
    random.shuffle(order)
    straight, shuffled = (paired_difference(a[i], b[i], groups[i], 50) for i in (np.arange(len(a)), order))
    assert np.allclose(straight, shuffled, equal_nan=True)
    tests = [paired_permutation_test(a[i], b[i], groups[i]) for i in (np.arange(len(a)), order)]
    assert np.isclose(*tests)


@quick
@given(rows)
def test_exchanging_the_systems_mirrors_the_difference_and_keeps_p(drawn):
    a, b, groups = columns(drawn)
    there, back = paired_difference(a, b, groups, 50), paired_difference(b, a, groups, 50)
    assert np.allclose(there, (-back[0], -back[2], -back[1]), equal_nan=True)
    p = paired_permutation_test(a, b, groups)
    assert np.isclose(p, paired_permutation_test(b, a, groups))
    assert 0 < p <= 1
    assert sign_test(a, b)[0] == sign_test(b, a)[0]


@quick
@given(rows)
def test_the_sign_test_is_scipys_binomial_test_of_the_untied_rows(drawn):
    a, b, _ = columns(drawn)
    p, wins, losses, ties = sign_test(a, b)
    assert (wins, losses, ties) == ((a > b).sum(), (a < b).sum(), (a == b).sum())
    assert np.isclose(p, binomtest(wins, wins + losses).pvalue if wins + losses else 1)


@quick
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=9))
def test_the_permutation_test_of_single_queries_is_scipys_exact_one(drawn):
    a, b = np.array(drawn, dtype=float).T
    exact = permutation_test((a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf).pvalue
    assert np.isclose(paired_permutation_test(a, b, np.arange(len(a))), exact)


@quick
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share_and_widens_with_confidence(counts):
    successes, n = counts
    low, high = wilson_interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    wide_low, wide_high = wilson_interval(successes, n, 0.99)
    assert wide_low <= low
    assert high <= wide_high
