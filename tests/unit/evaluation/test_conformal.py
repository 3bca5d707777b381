from fractions import Fraction
from math import floor

import numpy as np
import pytest

from twinfolio.evaluation.conformal import Conformal, coverage_report, fit_conformal


def two_classes(own):
    """Queries of class 0 with these own probabilities."""
    own = np.asarray(own, dtype=float)
    return np.stack([own, 1 - own], axis=1), np.zeros(len(own), dtype=int)


@pytest.mark.parametrize("percent", [50, 80, 90, 95])
def test_with_one_query_a_group_the_cut_is_the_textbooks_quantile(percent):
    coverage = Fraction(percent, 100)
    for n in range(1, 60):
        own = np.random.default_rng(n).random(n)
        k = floor((n + 1) * (1 - coverage))
        for unit in ("query", "group"):
            fit = fit_conformal(*two_classes(own), np.arange(n), percent / 100, unit)
            assert fit == Conformal(np.sort(own)[k - 1] if k else 0.0, percent / 100, n)


def test_eight_groups_cannot_promise_90_percent_and_nine_can():
    own = np.linspace(0.3, 0.9, 180)
    few, enough = (fit_conformal(*two_classes(own), np.arange(180) % n) for n in (8, 9))
    assert few.cut == 0
    assert few.sets(np.array([[0.0, 0.0, 1.0]])).all()
    assert 0 < enough.cut <= 0.4


def test_a_group_counts_once_however_many_queries_it_has():
    own, groups = np.linspace(0.5, 0.9, 19), np.arange(19)
    alone = fit_conformal(*two_classes(own), groups)
    crowd = np.r_[own, np.full(5000, 0.5)], np.r_[groups, np.zeros(5000, dtype=int)]
    assert fit_conformal(*two_classes(crowd[0]), crowd[1]) == alone


def test_a_promise_for_whole_groups_counts_their_worst_queries():
    rng = np.random.default_rng(0)
    own, groups = rng.random(300), np.repeat(np.arange(30), 10)
    worst = own.reshape(30, 10).min(1)
    whole = fit_conformal(*two_classes(own), groups, 0.8, "group")
    assert whole == fit_conformal(*two_classes(worst), np.arange(30), 0.8)
    assert whole.cut < fit_conformal(*two_classes(own), groups, 0.8).cut


def test_the_order_of_the_queries_does_not_matter():
    rng = np.random.default_rng(1)
    probabilities, labels = rng.dirichlet(np.ones(4), 200), rng.integers(0, 4, 200)
    groups, order = rng.integers(0, 40, 200).astype(str), rng.permutation(200)
    fit = fit_conformal(probabilities, labels, groups)
    assert fit_conformal(probabilities[order], labels[order], groups[order]) == fit


def test_a_set_holds_all_classes_above_the_cut_and_always_the_best():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.15, 0.05], [0.3, 0.3, 0.4]])
    before = probabilities.copy()
    sets = Conformal(0.3, 0.9, 20).sets(probabilities)
    assert sets.tolist() == [[True, True, False], [False, True, False], [True, True, True]]
    assert np.array_equal(probabilities, before)
    assert Conformal(0.3, 0.9, 20).sets(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0])
def test_an_impossible_promise_is_refused(coverage):
    with pytest.raises(ValueError, match="must lie in"):
        fit_conformal(*two_classes([0.5]), [0], coverage)


def test_bad_arrays_are_refused():
    with pytest.raises(ValueError, match="with queries to fit on"):
        fit_conformal(*two_classes([]), [])
    with pytest.raises(ValueError, match="NaN"):
        fit_conformal(*two_classes([0.5, np.nan]), [0, 1])
    with pytest.raises(ValueError, match="lengths differ"):
        fit_conformal(*two_classes([0.5, 0.6]), [0])


def test_measured_coverage_and_sizes_by_hand():
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]], dtype=bool)
    report = coverage_report(sets, np.array([0, 1, 0, 2]), ["a", "a", "b", "c"], n=200)
    assert (report["coverage"], report["set_size"], report["single"]) == (0.75, 2.0, 0.25)
    for name in ("coverage", "set_size", "single"):
        assert report[f"{name}_low"] <= report[name] <= report[f"{name}_high"]


def test_full_coverage_is_no_certainty():
    report = coverage_report(np.ones((40, 2), dtype=bool), np.zeros(40, dtype=int), np.arange(40) // 4)
    assert (report["coverage"], report["coverage_high"]) == (1, 1)
    assert report["coverage_low"] == pytest.approx(1 / (1 + 1.96**2 / 10), abs=1e-3)  # Wilson, 10 of 10
