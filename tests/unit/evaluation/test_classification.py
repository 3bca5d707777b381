from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score

from twinfolio.evaluation.classification import classification_report, top_k_accuracy, top_k_hits


@pytest.fixture
def calls():
    generator = np.random.default_rng(0)
    labels = generator.integers(6, size=200)
    return labels, np.where(generator.random(200) < 0.6, labels, generator.integers(6, size=200))


def test_every_class_and_mean_is_scikit_learns(calls):
    labels, said = calls
    report = classification_report(labels, said, 6)
    np.testing.assert_array_equal(report.confusion, confusion_matrix(labels, said))
    precision, recall, f1, support = precision_recall_fscore_support(labels, said)
    np.testing.assert_allclose(report.precision, precision)
    np.testing.assert_allclose(report.recall, recall)
    np.testing.assert_allclose(report.f1, f1)
    np.testing.assert_array_equal(report.support, support)
    metrics = report.metrics()
    assert metrics["accuracy"] == pytest.approx((labels == said).mean())
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(labels, said, average=average)[:3]
        assert [metrics[f"{average}_{name}"] for name in ("precision", "recall", "f1")] == pytest.approx(expected)


def test_a_class_without_images_is_out_of_the_macro_mean_though_it_is_called(calls):
    labels, said = calls
    said = np.where(np.arange(200) < 10, 7, said)
    metrics = classification_report(labels, said, 9).metrics()
    expected = precision_recall_fscore_support(labels, said, labels=range(6), average="macro", zero_division=0)[2]
    assert metrics["macro_f1"] == pytest.approx(expected)
    assert metrics["n_classes"] == 6


def test_the_table_has_a_row_for_every_class(calls):
    table = classification_report(*calls, 7).per_class(list("abcdefg"))
    assert table["label"].tolist() == list("abcdefg")
    assert table["support"].tolist()[-1] == 0
    assert table["f1"].tolist()[-1] == 0


def test_no_images_give_zeros_and_not_a_warning():
    metrics = classification_report([], [], 3).metrics()
    assert metrics["accuracy"] == metrics["macro_f1"] == metrics["n_classes"] == 0


def test_numbers_that_are_no_class_are_refused():
    with pytest.raises(ValueError, match="outside"):
        classification_report([0, 3], [0, 1], 3)
    with pytest.raises(ValueError, match="lengths"):
        classification_report([0], [0, 1], 3)


def test_top_k_is_scikit_learns_where_nothing_ties():
    generator = np.random.default_rng(1)
    probabilities, labels = generator.dirichlet(np.ones(9), 80), generator.integers(9, size=80)
    for k in (1, 3, 9):
        expected = top_k_accuracy_score(labels, probabilities, k=k, labels=range(9)) if k < 9 else 1.0
        assert top_k_accuracy(labels, probabilities, k) == pytest.approx(expected)


def test_a_constant_scorer_gets_no_credit_for_where_its_class_stands():
    assert top_k_hits([0, 9], np.full((2, 10), 0.1), 5).tolist() == [0.5, 0.5]
