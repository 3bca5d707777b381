from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from twinfolio.evaluation import bootstrap
from twinfolio.evaluation.bootstrap import (
    bootstrap_interval,
    bootstrap_macro,
    bootstrap_ratio,
    bootstrap_share,
    bootstrap_statistic,
    bootstrap_totals,
    bootstrap_totals_of,
    group_totals,
    wilson_interval,
)


def slow_bootstrap(statistic, groups, n, seed, confidence):
    """Rows copied group by group, with the same draws."""
    names = np.unique(groups)
    draws = np.random.default_rng(seed).integers(len(names), size=(n, len(names)))
    values = []
    for drawn in draws:
        rows = np.concatenate([np.flatnonzero(groups == names[g]) for g in drawn])
        values.append(statistic(rows))
    return np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])


@pytest.fixture
def sample():
    generator = np.random.default_rng(0)
    groups = generator.integers(12, size=90)
    return generator.normal(size=90) + groups / 6, groups


def test_the_interval_of_a_mean_is_that_of_copied_groups(sample):
    values, groups = sample
    expected = slow_bootstrap(lambda rows: values[rows].mean(), groups, 200, 5, 0.9)
    assert bootstrap_interval(values, groups, 200, 5, 0.9) == pytest.approx(tuple(expected))


def test_the_interval_of_any_statistic_is_that_of_copied_groups(sample):
    values, groups = sample
    truth, said = values > 1, np.roll(values, 1) > 0.5
    expected = slow_bootstrap(lambda rows: f1_score(truth[rows], said[rows]), groups, 50, 1, 0.95)
    ours = bootstrap_statistic(lambda w: f1_score(truth, said, sample_weight=w), groups, 50, 1)
    assert ours == pytest.approx(tuple(expected))
    ratio = bootstrap_ratio(2.0 * (truth & said), truth.astype(float) + said, groups, 50, 1)
    assert ratio == pytest.approx(tuple(expected))


def test_the_interval_of_a_macro_mean_is_that_of_copied_groups(sample):
    values, groups = sample
    classes = groups % 4

    def macro(rows):
        return np.mean([values[rows][classes[rows] == c].mean() for c in np.unique(classes[rows])])

    expected = slow_bootstrap(macro, groups, 100, 2, 0.95)
    assert bootstrap_macro(values, classes, groups, 100, 2) == pytest.approx(tuple(expected))


def test_queries_that_do_not_count_are_left_out(sample):
    values, groups = sample
    gaps = np.where(np.arange(90) % 3 == 0, np.nan, values)
    keep = ~np.isnan(gaps)
    assert bootstrap_interval(gaps, groups, 100) == bootstrap_interval(values[keep], groups[keep], 100)
    assert bootstrap_macro(gaps, groups % 3, groups, 100) == bootstrap_macro(
        values[keep], (groups % 3)[keep], groups[keep], 100
    )


def test_blocks_of_resamples_do_not_change_the_interval(sample, monkeypatch):
    values, groups = sample
    whole = bootstrap_interval(values, groups, 50)
    monkeypatch.setattr(bootstrap, "_BLOCK_CELLS", 40)
    assert len(list(bootstrap.group_weights(12, 50, 0))) > 10
    assert bootstrap_interval(values, groups, 50) == pytest.approx(whole)


def test_one_group_alone_has_no_interval():
    for low, high in (
        bootstrap_interval([1.0, 2.0], ["p", "p"]),
        bootstrap_statistic(lambda w: float(w.sum()), ["p", "p"]),
        bootstrap_totals(np.empty((0, 1)), lambda t: t[:, 0], []),
    ):
        assert np.isnan(low)
        assert np.isnan(high)


SHARES = [lambda t: t[:, 0] / t[:, 1], lambda t: t[:, 1] - t[:, 0], lambda t: t[:, 2] / t[:, 0]]


@pytest.mark.parametrize("seed", [0, 4])
def test_several_statistics_have_exactly_the_intervals_that_each_has_alone(sample, seed):
    values, groups = sample
    rows = np.stack([values > 1, np.ones(90), values], axis=1)
    together = bootstrap_totals_of(rows, SHARES, groups, 100, seed, 0.9)
    assert together == [bootstrap_totals(rows, statistic, groups, 100, seed, 0.9) for statistic in SHARES]
    assert len(set(together)) == len(SHARES)
    expected = slow_bootstrap(lambda drawn: (values[drawn] > 1).mean(), groups, 100, seed, 0.9)
    assert together[0] == pytest.approx(tuple(expected))


@pytest.mark.parametrize("n", [0, 3])
def test_several_statistics_of_fewer_than_two_groups_have_no_interval_each(n):
    found = bootstrap_totals_of(np.ones((n, 3)), SHARES, ["p"] * n)
    assert len(found) == len(SHARES)
    assert np.isnan(found).all()


def test_correlated_rows_of_a_group_widen_the_interval():
    groups = np.repeat(np.arange(20), 10)
    values = np.random.default_rng(3).normal(size=20)[groups]
    low, high = bootstrap_interval(values, groups)
    narrow_low, narrow_high = bootstrap_interval(values, np.arange(200))
    assert high - low > 2 * (narrow_high - narrow_low)


def test_totals_follow_the_sorted_group_names():
    assert group_totals(np.array([[1.0], [2.0], [4.0]]), ["b", "a", "b"]).tolist() == [[2.0], [5.0]]


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (97, 128)])
def test_wilsons_interval_is_scipys(successes, n):
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high))


def test_wilsons_interval_of_nothing_is_everything_and_of_the_impossible_an_error():
    assert wilson_interval(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="3 successes"):
        wilson_interval(3, 2)


def test_a_share_has_the_bootstraps_interval_and_wilsons_where_no_resample_differs():
    groups = np.repeat(np.arange(8), 3)
    hits = np.random.default_rng(0).random(24) < 0.5
    assert bootstrap_share(hits, groups, 100) == bootstrap_interval(hits, groups, 100)
    assert bootstrap_share(np.ones(24), groups) == wilson_interval(8, 8)
    assert bootstrap_share(np.zeros(24), groups, confidence=0.9) == wilson_interval(0, 8, 0.9)
