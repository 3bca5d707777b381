from dataclasses import replace

import numpy as np
import pytest

from tests.unit.assessment.scored import noisy, pages, scores_of
from twinfolio.assessment.calibration import Calibration, PairSample, all_pairs, class_evidence
from twinfolio.assessment.calibration_check import check_calibration
from twinfolio.assessment.images import first_answers
from twinfolio.assessment.judgement import ANSWERS, Resampling
from twinfolio.evaluation.calibration import Calibrator, reliability
from twinfolio.evaluation.conformal import Conformal

GALLERY = pages("g", classes=4, groups=6)
QUERIES = pages("q", classes=4, groups=15, first_group=3)
GAP = 1.5
SCORES = scores_of(noisy(QUERIES, GALLERY, GAP))
PAIRS = all_pairs(SCORES, QUERIES, GALLERY)
PRIOR = float(PAIRS.labels.mean())
HOW = Resampling(n=100)


def honest(prior=PRIOR, sharpness=1.0):
    """Bayes' rule for two normal kinds of scores, one ``GAP`` apart; ``sharpness`` above 1 is too sure."""
    offset = np.log(prior / (1 - prior)) - GAP**2 / 2
    return Calibrator("logistic", (sharpness * GAP, sharpness * offset))


def calibration(pairs, cut=0.5, temperature=None):
    return Calibration(pairs, PRIOR, {}, temperature, 0.0, 0.05, 0, Conformal(cut, 0.9, 10))


def balanced(n=2000, seed=3):
    """Half of one class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2 == 0
    return PairSample(rng.normal(GAP * labels, 1), labels, np.arange(n) // 10)


def of_gallery(gallery):
    return scores_of(noisy(QUERIES, gallery, GAP))


def check(fits, sample=None, gallery=GALLERY, probabilities=None):
    scores = of_gallery(gallery)
    answers = first_answers(scores, QUERIES, gallery, ANSWERS)
    return check_calibration(fits, scores, QUERIES, gallery, sample or balanced(), answers, probabilities, HOW)


def test_honest_probabilities_have_a_small_error_and_overconfident_ones_a_large_one():
    good, sure = check(calibration(honest())).values, check(calibration(honest(sharpness=6))).values
    assert good["ece"] < 0.02
    assert sure["ece"] > 0.08
    assert good["ece_high"] < sure["ece_low"]
    assert good["ece_before"] == sure["ece_before"] > 0.3


@pytest.mark.parametrize("name", ["ece", "ece_before", "ece_answers", "ece_balanced", "coverage", "set_size"])
def test_every_value_has_its_interval(name):
    values = check(calibration(honest())).values
    assert values[f"{name}_low"] <= values[name] <= values[f"{name}_high"]
    assert values[f"{name}_low"] < values[f"{name}_high"]


def test_all_pairs_are_judged_once_and_the_diagrams_say_the_same():
    found = check(calibration(honest()))
    assert found.diagrams["ece"].counts.sum() == len(PAIRS.scores)
    for name, diagram in found.diagrams.items():
        assert diagram.ece == pytest.approx(found.values[name])


def first_ten(gallery, scores):
    """The slow twin: probabilities of the first ten answers of each query, and whether they are right."""
    probabilities, right = [], []
    for q in range(len(QUERIES)):
        allowed = np.flatnonzero(gallery.groups != QUERIES.groups[q])
        row = scores(np.array([q]), allowed)[0]
        best = np.argsort(-row, kind="stable")[:10]
        probabilities += honest()(row[best]).tolist()
        right += (gallery.labels[allowed[best]] == QUERIES.labels[q]).tolist()
    return probabilities, right


def test_the_first_ten_answers_are_judged_and_no_other():
    found, (probabilities, right) = check(calibration(honest())), first_ten(GALLERY, SCORES)
    assert len(right) == 10 * len(QUERIES) == found.diagrams["ece_answers"].counts.sum()
    assert found.values["ece_answers"] == pytest.approx(reliability(probabilities, right).ece)


def test_places_without_an_answer_are_no_pairs():
    few = GALLERY.take(np.flatnonzero(GALLERY.groups == np.char.add(GALLERY.labels.astype(str), "/p5")))
    found, (probabilities, right) = check(calibration(honest()), gallery=few), first_ten(few, of_gallery(few))
    assert len(few) == 8
    assert found.diagrams["ece_answers"].counts.sum() == len(right) < 8 * len(QUERIES)
    assert found.values["ece_answers"] == pytest.approx(reliability(probabilities, right).ece)


def test_verification_pairs_are_judged_under_their_own_share_of_one_class():
    shifted = check(calibration(honest())).values
    unshifted = check(replace(calibration(honest()), prior=0.5)).values
    assert shifted["ece_balanced"] < 0.04
    assert unshifted["ece_balanced"] > 0.15
    assert shifted["ece"] == unshifted["ece"]


def test_coverage_counts_classes_whose_best_image_reaches_the_cut():
    everything, hardly = check(calibration(honest(), cut=0.0)).values, check(calibration(honest(), cut=0.999)).values
    assert (everything["coverage"], everything["set_size"]) == (1, 4)
    assert hardly["set_size"] == pytest.approx(1, abs=0.1)
    assert everything["coverage_low"] < 1 == everything["coverage_high"]
    evidence = class_evidence(honest(), SCORES, QUERIES, GALLERY)
    best = evidence.probabilities.argmax(1) == evidence.own
    assert (evidence.probabilities < 0.999).mean() > 0.98
    assert hardly["coverage"] == pytest.approx(best.mean(), abs=0.02)
    assert best.mean() < 1


def test_a_class_layer_is_judged_under_the_temperature_alone():
    rng = np.random.default_rng(0)
    said = np.where(rng.random(len(QUERIES)) < 0.5, QUERIES.labels, (QUERIES.labels + 1) % 4)
    sure = np.full((len(QUERIES), 4), 0.01)
    sure[np.arange(len(said)), said] = 0.97
    as_trained = check(calibration(honest(), temperature=1.0), probabilities=sure).values
    cooled = check(calibration(honest(), temperature=4.5), probabilities=sure).values
    accuracy = (said == QUERIES.labels).mean()
    assert as_trained["ece_classes"] == pytest.approx(abs(0.97 - accuracy))
    assert cooled["ece_classes"] < as_trained["ece_classes"] / 4
    assert as_trained["ece"] == cooled["ece"]


def test_without_a_class_layer_nothing_is_said_of_one():
    found = check(calibration(honest()))
    assert not [key for key in found.values if "classes" in key]
    assert "ece_classes" not in found.diagrams
