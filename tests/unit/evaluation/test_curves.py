from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from sklearn.metrics import roc_curve as reference_roc

from twinfolio.evaluation.curves import PairScores, auroc, equal_error_rate, pair_ap, pr_curve, roc_curve


@pytest.fixture
def pairs():
    generator = np.random.default_rng(0)
    labels = generator.random(300) < 0.3
    return np.round(generator.normal(size=300) + labels, 1), labels


def test_areas_are_scikit_learns_also_under_ties(pairs):
    scores, labels = pairs
    assert pair_ap(scores, labels) == pytest.approx(average_precision_score(labels, scores))
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_curves_are_scikit_learns(pairs):
    scores, labels = pairs
    false, true, thresholds = reference_roc(labels, scores, drop_intermediate=False)
    curve = roc_curve(scores, labels)
    np.testing.assert_allclose(curve.false_positive_rate, false)
    np.testing.assert_allclose(curve.true_positive_rate, true)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    precision, recall, _ = precision_recall_curve(labels, scores)
    ours = pr_curve(scores, labels)
    np.testing.assert_allclose(ours.precision, precision[:-1][::-1])
    np.testing.assert_allclose(ours.recall, recall[:-1][::-1])


def test_weights_count_as_repeated_rows(pairs):
    scores, labels = pairs
    weights = np.random.default_rng(1).integers(0, 4, 300)
    weighted = PairScores.of(scores, labels).summary(weights.astype(float))
    assert weighted["pair_ap"] == pytest.approx(pair_ap(np.repeat(scores, weights), np.repeat(labels, weights)))
    assert weighted["auroc"] == pytest.approx(auroc(np.repeat(scores, weights), np.repeat(labels, weights)))
    assert weighted["eer"] == pytest.approx(equal_error_rate(np.repeat(scores, weights), np.repeat(labels, weights)))


def test_the_equal_error_rate_is_where_both_errors_meet():
    assert equal_error_rate([0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1]) == 0
    assert equal_error_rate([3.0, 2.0, 1.0, 0.0], [0, 0, 1, 1]) == 1
    assert equal_error_rate([1.0, 1.0, 1.0, 1.0], [0, 0, 1, 1]) == pytest.approx(0.5)
    assert equal_error_rate([0.0, 2.0, 1.0, 3.0], [0, 0, 1, 1]) == pytest.approx(0.5)


def test_the_equal_error_rate_interpolates_between_thresholds():
    scores, labels = [4.0, 3.0, 2.0, 1.0, 0.0], [1, 0, 1, 0, 0]  # at the cut 3: FAR 1/3, FRR 1/2; at 2: 1/3, 0
    assert equal_error_rate(scores, labels) == pytest.approx(1 / 3)


def test_one_kind_of_pairs_has_no_curve():
    assert np.isnan(auroc([1.0, 2.0], [1, 1]))
    assert np.isnan(equal_error_rate([1.0, 2.0], [0, 0]))
    assert np.isnan(pair_ap([1.0, 2.0], [0, 0]))
