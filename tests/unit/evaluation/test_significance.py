from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from twinfolio.evaluation import significance
from twinfolio.evaluation.significance import (
    paired_difference,
    paired_permutation_test,
    sign_test,
    unpaired_difference,
)


@pytest.fixture
def sample():
    generator = np.random.default_rng(0)
    groups = generator.integers(12, size=90)
    return generator.normal(size=90) + groups / 6, groups


def test_a_paired_difference_resamples_both_together(sample):
    values, groups = sample
    difference, low, high = paired_difference(values + 0.25, values, groups)
    assert (difference, low, high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_permutation_test_counts_every_sign_pattern_of_few_groups():
    generator = np.random.default_rng(4)
    groups = np.repeat(np.arange(7), 3)
    a, b = generator.normal(size=21) + 0.4, generator.normal(size=21)
    totals = [sum((a - b)[groups == g]) for g in range(7)]
    reached = [
        abs(sum(s * t for s, t in zip(signs, totals, strict=True))) >= abs(sum(totals)) - 1e-9
        for signs in product((1, -1), repeat=7)
    ]
    assert paired_permutation_test(a, b, groups) == pytest.approx(np.mean(reached))


def test_the_random_permutation_test_comes_near_the_exact_one(monkeypatch):
    generator = np.random.default_rng(5)
    a, b, groups = generator.normal(size=40) + 0.3, generator.normal(size=40), np.repeat(np.arange(10), 4)
    exact = paired_permutation_test(a, b, groups)
    monkeypatch.setattr(significance, "_EXACT_GROUPS", 0)
    assert paired_permutation_test(a, b, groups, n=20_000) == pytest.approx(exact, abs=0.02)


def test_the_permutation_test_is_two_sided_seeded_and_never_zero():
    groups = np.arange(60)
    a = np.random.default_rng(6).random(60) + 1
    p = paired_permutation_test(a, np.zeros(60), groups, n=500)
    assert p == pytest.approx(1 / 501)
    assert paired_permutation_test(np.zeros(60), a, groups, n=500) == p
    assert paired_permutation_test(a, a, groups) == 1


def test_the_sign_test_is_the_exact_binomial_one_without_ties():
    a, b = np.array([1, 1, 1, 1, 1, 0, 2, 2]), np.array([0, 0, 0, 0, 0, 1, 2, 2])
    p, wins, losses, ties = sign_test(a, b)
    assert (wins, losses, ties) == (5, 1, 2)
    assert p == pytest.approx(binomtest(5, 6).pvalue)
    assert sign_test(a, a)[0] == 1


def test_the_gap_of_two_samples_is_the_difference_of_their_own_resamples():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 60), rng.normal(0, 1, 90)
    groups_a, groups_b = np.arange(60) // 3, np.arange(90) // 5
    found = unpaired_difference(np.r_[a, np.nan], np.r_[groups_a, 7], b, groups_b, n=400)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert 0 < found.low < found.difference < found.high
    draws = np.random.default_rng(1)
    slow = [
        a.reshape(20, 3)[draws.integers(20, size=20)].mean() - b.reshape(18, 5)[draws.integers(18, size=18)].mean()
        for _ in range(4000)
    ]
    assert (found.low, found.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.08)


def test_a_side_without_two_groups_gives_no_interval_of_the_difference():
    many = np.arange(10) % 5
    one = unpaired_difference(np.arange(10.0), many, np.full(4, 2.0), np.zeros(4), n=100)
    assert one.difference == 2.5
    assert np.isnan([one.low, one.high]).all()
    none = unpaired_difference(np.arange(10.0), many, np.full(4, np.nan), np.arange(4), n=100)
    assert np.isnan(none).all()
