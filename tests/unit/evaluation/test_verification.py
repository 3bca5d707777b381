from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score

from twinfolio.errors import DataError
from twinfolio.evaluation.verification import (
    Confusion,
    accept,
    check_identity,
    choose_threshold,
    confusion,
    confusion_at,
    cross_fit_thresholds,
)


def slow_threshold_value(scores, labels, criterion):
    """The best value over every possible cut, tried one by one."""
    best = -1.0
    for cut in [*scores, max(scores) + 1]:
        counts = confusion_at(scores, labels, cut)
        best = max(best, getattr(counts, criterion))
    return best


def test_every_share_is_scikit_learns():
    generator = np.random.default_rng(0)
    labels, predictions = generator.random(200) < 0.3, generator.random(200) < 0.5
    derived = confusion(labels, predictions).derived()
    references = {
        "accuracy": accuracy_score,
        "precision": precision_score,
        "recall": recall_score,
        "f1": f1_score,
        "balanced_accuracy": balanced_accuracy_score,
    }
    for name, reference in references.items():
        assert derived[name] == pytest.approx(reference(labels, predictions)), name
    assert derived["prevalence"] == pytest.approx(labels.mean())


def test_shares_of_nothing_are_zero():
    assert set(Confusion(0, 0, 0, 0).derived().values()) == {0.0}


def test_the_papers_consistent_columns_pass_the_identity_check_and_its_broken_one_does_not():
    scratch = {"tp": 39, "fp": 24, "fn": 25, "tn": 40}
    check_identity(scratch | {"accuracy": 0.6171875, "precision": 0.6190476, "recall": 0.609375, "f1": 0.6141732})
    l1 = {"tp": 417, "fp": 13, "fn": 31, "tn": 435}
    check_identity(l1 | {"accuracy": 0.9508929, "precision": 0.9697674, "recall": 0.9308036, "f1": 0.9498861})
    cosine = {"tp": 1911, "fp": 49, "fn": 169, "tn": 32751}
    with pytest.raises(ValueError, match=r"f1 = 0\.95 does not follow"):
        check_identity(cosine | {"accuracy": 0.99375, "precision": 0.975, "recall": 0.91875, "f1": 0.95})


def test_counts_that_are_not_whole_are_refused():
    with pytest.raises(ValueError, match="whole"):
        check_identity({"tp": 10.5, "fp": 0, "fn": 0, "tn": 0})


def test_a_float32_score_is_not_accepted_by_a_threshold_just_above_it():
    score = np.float32(0.1)
    assert not accept(np.array([score]), float(score) + 1e-12)[0]
    assert accept(np.array([score]), float(score))[0]


@pytest.mark.parametrize("criterion", ["f1", "accuracy"])
@pytest.mark.parametrize("seed", range(8))
def test_the_chosen_threshold_reaches_the_best_value_of_all_cuts(criterion, seed):
    generator = np.random.default_rng(seed)
    labels = generator.random(40) < 0.4
    scores = np.round(generator.normal(size=40) + labels, 1)
    threshold = choose_threshold(scores, labels, criterion)
    reached = getattr(confusion_at(scores, labels, threshold), criterion)
    assert reached == pytest.approx(slow_threshold_value(scores, labels, criterion))


def test_the_threshold_lies_midway_between_the_neighbours():
    assert choose_threshold([0.0, 1.0, 3.0, 4.0], [0, 0, 1, 1]) == 2.0


def test_neighbours_in_float64_are_still_told_apart():
    low = 1.0
    high = np.nextafter(low, 2.0)
    threshold = choose_threshold([low, high], [0, 1])
    assert accept([low, high], threshold).tolist() == [False, True]


def test_where_accepting_nothing_or_everything_is_best_it_is_chosen():
    assert not accept([1.0, 2.0], choose_threshold([1.0, 2.0], [0, 0], "accuracy")).any()
    assert accept([1.0, 2.0], choose_threshold([1.0, 2.0], [1, 1], "accuracy")).all()
    with pytest.raises(DataError, match="no verification pairs"):
        choose_threshold([], [])


def test_a_query_groups_threshold_never_saw_its_own_pairs():
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(10), 12)
    labels = generator.random(120) < 0.5
    scores = generator.normal(size=120) + labels
    fit = cross_fit_thresholds(scores, labels, groups, folds=4, seed=1)
    assert all(len(np.unique(fit.fold[groups == group])) == 1 for group in range(10))
    for fold, threshold in enumerate(fit.thresholds):
        inside = fit.fold == fold
        assert threshold == choose_threshold(scores[~inside], labels[~inside])
        assert (fit.predictions[inside] == accept(scores[inside], threshold)).all()
    assert fit.threshold == choose_threshold(scores, labels)
    assert cross_fit_thresholds(scores, labels, groups, final="median").threshold == pytest.approx(
        np.median(cross_fit_thresholds(scores, labels, groups).thresholds)
    )


def test_the_order_of_the_pairs_does_not_change_the_folds():
    generator = np.random.default_rng(3)
    groups, labels, scores = np.repeat(list("dbca"), 5), generator.random(20) < 0.5, generator.normal(size=20)
    order = generator.permutation(20)
    fit = cross_fit_thresholds(scores, labels, groups, folds=9)
    assert len(fit.thresholds) == 4, "never more folds than groups"
    shuffled = cross_fit_thresholds(scores[order], labels[order], groups[order], folds=9)
    assert (shuffled.predictions == fit.predictions[order]).all()


def test_one_query_group_cannot_be_cross_fitted():
    with pytest.raises(DataError, match="1 query groups"):
        cross_fit_thresholds([1.0, 2.0], [0, 1], ["a", "a"])
