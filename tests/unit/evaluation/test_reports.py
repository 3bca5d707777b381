from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from twinfolio.evaluation.bootstrap import bootstrap_interval, bootstrap_statistic
from twinfolio.evaluation.reports import classification_summary, retrieval_report, verification_report
from twinfolio.evaluation.retrieval_protocol import Items, relevance, retrieval_protocol
from twinfolio.evaluation.verification import check_identity, cross_fit_thresholds

ENDS = ("low", "high")


def intervals_hold(report):
    names = [key.removesuffix("_low") for key in report if key.endswith("_low")]
    values = {name: report[name.removesuffix("_class")] for name in names}
    return names and all(report[f"{name}_low"] <= value <= report[f"{name}_high"] for name, value in values.items())


@pytest.fixture
def pairs():
    generator = np.random.default_rng(0)
    labels = generator.random(400) < 0.5
    return generator.normal(size=400) + 2 * labels, labels, generator.integers(30, size=400)


def test_a_verification_report_follows_from_its_counts_and_has_intervals(pairs):
    report = verification_report(pairs[0], pairs[1], 1.0, pairs[2], n=200)
    check_identity(report)
    assert intervals_hold(report)
    assert report["threshold"] == 1.0
    assert report["n_pairs"] == 400
    assert report["auroc"] == pytest.approx(roc_auc_score(pairs[1], pairs[0]))


def test_verification_intervals_are_those_of_the_statistic_itself(pairs):
    scores, labels, groups = pairs
    report = verification_report(scores, labels, 1.0, groups, n=60, seed=3)
    for name, reference in (
        ("f1", lambda w: f1_score(labels, scores >= 1, sample_weight=w)),
        ("auroc", lambda w: roc_auc_score(labels, scores, sample_weight=w)),
    ):
        expected = bootstrap_statistic(reference, groups, 60, 3)
        assert (report[f"{name}_low"], report[f"{name}_high"]) == pytest.approx(tuple(expected))


def test_cross_fitted_predictions_take_the_place_of_a_threshold(pairs):
    scores, labels, groups = pairs
    fit = cross_fit_thresholds(scores, labels, groups)
    report = verification_report(scores, labels, None, groups, n=100, predictions=fit.predictions)
    assert report["accuracy"] == pytest.approx((fit.predictions == labels).mean())
    assert "threshold" not in report
    with pytest.raises(ValueError, match="threshold or predictions"):
        verification_report(scores, labels, None, groups)


def test_a_retrieval_report_has_means_and_macro_means_with_intervals():
    generator = np.random.default_rng(1)
    labels = generator.integers(4, size=60).astype(str)
    groups = np.array([f"{label}/{page}" for label, page in zip(labels, generator.integers(5, size=60), strict=True)])
    ids = np.array([f"i{n:02d}" for n in range(60)])
    everything = Items(ids, labels, groups, ids)
    scores = generator.normal(size=(60, 60)) + relevance(everything, everything)
    result = retrieval_protocol(scores, everything, everything)
    report = retrieval_report(result, n=200)
    assert intervals_hold(report)
    assert report["n_queries"] == 60
    assert report["n_classes"] == 4
    assert report["mAP"] == pytest.approx(result.per_query()["mAP"].mean())
    assert report["macro_P@5"] == pytest.approx(result.per_class()["P@5"].mean())
    assert report == retrieval_report(result, n=200), "seeded"
    assert {key for key in report if "_class_" in key} == {f"{m}_class_{e}" for m in ("mAP", "P@1") for e in ENDS}
    by_class = bootstrap_interval(result.per_query()["mAP"], labels, 200)
    assert (report["mAP_class_low"], report["mAP_class_high"]) == by_class


def test_classes_that_differ_widen_the_interval_over_classes():
    labels = np.repeat(["easy", "fair", "hard", "hardest"], 30)
    ids = np.array([f"i{n:03d}" for n in range(120)])
    items = Items(ids, labels, ids, ids)
    strength = np.repeat([4.0, 2.0, 1.0, 0.0], 30)
    scores = np.random.default_rng(3).normal(size=(120, 120)) + relevance(items, items) * strength
    report = retrieval_report(retrieval_protocol(scores, items, items), n=300)
    assert report["mAP_class_high"] - report["mAP_class_low"] > 2 * (report["mAP_high"] - report["mAP_low"])


def test_a_classification_summary_has_intervals_and_those_of_macro_f1_are_its_own():
    generator = np.random.default_rng(2)
    labels, groups = generator.integers(6, size=150), generator.integers(25, size=150)
    probabilities = generator.dirichlet(np.ones(8), 150) + 0.3 * np.eye(8)[labels]
    report = classification_summary(probabilities, labels, groups, n=60)
    assert intervals_hold(report)
    assert report["n_classes"] == 6
    said = probabilities.argmax(axis=1)

    def macro_f1(weights):
        present = np.unique(labels[weights > 0])
        return f1_score(labels, said, sample_weight=weights, average="macro", labels=present, zero_division=0)

    expected = bootstrap_statistic(macro_f1, groups, 60)
    assert (report["macro_f1_low"], report["macro_f1_high"]) == pytest.approx(tuple(expected))
    assert report["weighted_recall_low"] == pytest.approx(report["accuracy_low"])
