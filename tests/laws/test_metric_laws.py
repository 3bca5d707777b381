"""Laws of metrics: equal to references, blind to what must not matter."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from twinfolio.evaluation.classification import classification_report
from twinfolio.evaluation.curves import auroc, equal_error_rate, pair_ap
from twinfolio.evaluation.ranking_metrics import retrieval_metrics
from twinfolio.evaluation.verification import accept, choose_threshold, confusion_at

quick = settings(max_examples=40, deadline=None)
scored = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=25)


def split(rows):
    scores, labels = np.array([row[0] for row in rows], dtype=float), np.array([row[1] for row in rows])
    assume(labels.any() and not labels.all())
    return scores, labels


@quick
@given(scored)
def test_areas_are_the_references_for_any_ties(rows):
    scores, labels = split(rows)
    assert np.isclose(pair_ap(scores, labels), average_precision_score(labels, scores))
    assert np.isclose(auroc(scores, labels), roc_auc_score(labels, scores))


@quick
@given(scored)
def test_a_rising_map_of_the_scores_changes_nothing_and_a_falling_one_mirrors_the_roc(rows):
    scores, labels = split(rows)
    assert np.isclose(auroc(np.exp(scores), labels), auroc(scores, labels))
    assert np.isclose(auroc(-scores, labels), 1 - auroc(scores, labels))
    assert np.isclose(equal_error_rate(-scores, ~labels), equal_error_rate(scores, labels))


@quick
@given(scored, st.sampled_from(["f1", "accuracy"]))
def test_no_other_threshold_is_better_than_the_chosen_one(rows, criterion):
    scores, labels = split(rows)
    chosen = getattr(confusion_at(scores, labels, choose_threshold(scores, labels, criterion)), criterion)
    assert all(getattr(confusion_at(scores, labels, cut), criterion) <= chosen + 1e-12 for cut in np.arange(-5, 6))


@quick
@given(scored)
def test_raising_the_threshold_accepts_a_subset(rows):
    scores, _ = split(rows)
    assert all((accept(scores, cut + 1) <= accept(scores, cut)).all() for cut in range(-5, 5))


@quick
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_macro_f1_is_the_references_over_the_classes_that_have_images(rows):
    labels, said = np.array(rows).T
    expected = f1_score(labels, said, labels=np.unique(labels), average="macro", zero_division=0)
    metrics = classification_report(labels, said, 5).metrics()
    assert np.isclose(metrics["macro_f1"], expected)
    assert np.isclose(metrics["weighted_recall"], metrics["accuracy"])


@quick
@given(scored, st.randoms(use_true_random=False))
def test_retrieval_metrics_do_not_depend_on_the_order_of_the_gallery(rows, random):
    scores, labels = split(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    straight = retrieval_metrics(scores[None], labels[None], ks=(1, 3))
    shuffled = retrieval_metrics(scores[None, order], labels[None, order], ks=(1, 3))
    for key, value in straight.per_query.items():
        assert np.isclose(value, shuffled.per_query[key]).all(), key


@quick
@given(scored)
def test_retrieval_metrics_keep_their_bounds_and_their_order_in_k(rows):
    scores, labels = split(rows)
    ks = (1, 2, 3, 10)
    values = {key: v[0] for key, v in retrieval_metrics(scores[None], labels[None], ks=ks).per_query.items()}
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in values.values())
    for small, large in itertools.pairwise(ks):
        assert values[f"R@{small}"] <= values[f"R@{large}"] + 1e-12
        assert values[f"cmc@{small}"] <= values[f"cmc@{large}"] + 1e-12
        assert values[f"P@{small}"] * small <= values[f"P@{large}"] * large + 1e-12
    assert np.isclose(values["cmc@1"], values["P@1"])
    assert values["MRR"] >= values["cmc@1"] - 1e-12


@quick
@given(st.integers(1, 20), st.integers(1, 20))
def test_a_perfect_ranking_has_average_precision_one(n_relevant, n_other):
    labels = np.arange(n_relevant + n_other) < n_relevant
    result = retrieval_metrics(labels[None].astype(float), labels[None])
    assert np.isclose(result.per_query["mAP"][0], 1)
    assert np.isclose(result.per_query["r_precision"][0], 1)
