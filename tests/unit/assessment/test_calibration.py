import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.assessment.scored import noisy, pages, scores_of
from twinfolio.assessment.calibration import (
    Calibration,
    CalibrationSettings,
    Impostors,
    all_pairs,
    calibrate,
    class_evidence,
)
from twinfolio.evaluation.calibration import Calibrator, log_loss, reliability

GALLERY = pages("g", classes=4, groups=6)
# pages 4 and 5 lend images to both sides, 6 to 15 are the queries' own
QUERIES = pages("q", classes=4, groups=12, first_group=4)
SCORES = noisy(QUERIES, GALLERY, gap=2.0)
SETTINGS = CalibrationSettings(false_match_rate=0.1, coverage=0.8)
IMPOSTORS = Impostors(np.random.default_rng(7).normal(size=150), classes=3)


def barred(queries, gallery):
    """The slow twin: pair by pair."""
    return np.array(
        [
            [queries.groups[q] == gallery.groups[g] or queries.clusters[q] == gallery.clusters[g]
             for g in range(len(gallery))]
            for q in range(len(queries))
        ]
    )  # fmt: skip


def fitted(matrix=SCORES, queries=QUERIES, probabilities=None, settings=SETTINGS):
    return calibrate(scores_of(matrix), IMPOSTORS, queries, GALLERY, probabilities, settings)


def test_all_pairs_are_the_admissible_pairs_one_by_one():
    queries = replace(QUERIES, clusters=np.where(np.arange(len(QUERIES)) == 50, GALLERY.clusters[3], QUERIES.clusters))
    found = all_pairs(scores_of(SCORES), queries, GALLERY)
    rows, columns = np.nonzero(~barred(queries, GALLERY))
    assert len(rows) == len(queries) * len(GALLERY) - 4 * 2 * 4 - 1  # two shared pages a class, and one duplicate
    np.testing.assert_array_equal(found.scores, SCORES[rows, columns].astype(np.float32))
    np.testing.assert_array_equal(found.labels, queries.labels[rows] == GALLERY.labels[columns])
    np.testing.assert_array_equal(found.groups, queries.groups[rows])


def test_blocks_of_queries_do_not_change_the_pairs(monkeypatch):
    whole = all_pairs(scores_of(SCORES), QUERIES, GALLERY)
    monkeypatch.setattr("twinfolio.assessment.calibration._BLOCK_CELLS", 3 * len(GALLERY))
    np.testing.assert_array_equal(all_pairs(scores_of(SCORES), QUERIES, GALLERY).scores, whole.scores)


@pytest.mark.parametrize("limit", [40, 400, 4000])
def test_a_part_of_the_pairs_keeps_to_the_limit_and_to_what_is_admissible(limit):
    places = np.arange(SCORES.size).reshape(SCORES.shape)
    found = all_pairs(scores_of(places), QUERIES, GALLERY, seed=1, limit=limit)
    allowed = np.flatnonzero(~barred(QUERIES, GALLERY))
    assert limit / 3 < len(found.scores) <= limit
    assert np.isin(found.scores, allowed).all()
    assert len(np.unique(found.scores)) == len(found.scores)
    other = all_pairs(scores_of(places), QUERIES, GALLERY, seed=2, limit=limit)
    assert not np.array_equal(other.scores, found.scores)


def test_a_part_of_the_pairs_has_the_share_of_all_in_expectation():
    uneven = np.flatnonzero((QUERIES.labels == 0) | (np.arange(len(QUERIES)) % 6 == 0))  # most are of one class
    asked, scores = QUERIES.take(uneven), scores_of(SCORES[uneven])
    whole = all_pairs(scores, asked, GALLERY)
    shares = [all_pairs(scores, asked, GALLERY, seed, limit=400).labels.mean() for seed in range(400)]
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(whole.labels.mean(), abs=4 * error)
    assert error < 0.003


@pytest.mark.parametrize("probabilities", [None, np.tile([0.7, 0.1, 0.1, 0.1], (len(QUERIES), 1))])
def test_a_calibration_survives_json_to_the_last_digit(probabilities):
    calibration = fitted(probabilities=probabilities)
    assert (calibration.temperature is None) == (probabilities is None)
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert again == calibration


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_at_most_the_promised_share_of_impostors_passes_and_one_more_would_not_do(rate):
    calibration = fitted(settings=replace(SETTINGS, false_match_rate=rate))
    passed = (IMPOSTORS.scores >= calibration.unknown).mean()
    assert passed <= rate < passed + 1 / len(IMPOSTORS.scores) + 1e-12
    assert (calibration.false_match_rate, calibration.unknown_classes) == (rate, 3)


def test_impostors_that_may_find_nothing_set_no_threshold():
    some = Impostors(np.append(IMPOSTORS.scores, [-np.inf] * 50), IMPOSTORS.classes)
    assert calibrate(scores_of(SCORES), some, QUERIES, GALLERY, None, SETTINGS).unknown == fitted().unknown


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_class_sets_cover_validation_as_promised(coverage):
    calibration = fitted(settings=replace(SETTINGS, coverage=coverage))
    evidence = class_evidence(calibration.pairs, scores_of(SCORES), QUERIES, GALLERY)
    sets = calibration.conformal.sets(evidence.probabilities)
    covered = sets[np.arange(len(sets)), evidence.own]
    assert covered.mean() >= coverage
    assert sets.sum(1).mean() < 4
    assert calibration.conformal.n == len(np.unique(QUERIES.groups))


def test_evidence_is_the_calibrated_best_image_of_each_class():
    calibrator = Calibrator("logistic", (1.5, -1.0))
    evidence = class_evidence(calibrator, scores_of(SCORES), QUERIES, GALLERY)
    allowed = np.where(barred(QUERIES, GALLERY), -np.inf, SCORES)
    best = np.stack([allowed[:, GALLERY.labels == label].max(1) for label in range(4)], axis=1)
    np.testing.assert_allclose(evidence.probabilities, calibrator(best), atol=1e-6)
    np.testing.assert_array_equal(evidence.own, QUERIES.labels)


def test_a_query_without_an_image_of_its_class_is_left_out_and_an_empty_class_has_no_evidence():
    alone = GALLERY.take(GALLERY.groups == "0/p4").join(GALLERY.take(GALLERY.labels > 0))
    evidence = class_evidence(Calibrator("logistic", (1.0, 0.0)), scores_of(noisy(QUERIES, alone, 2)), QUERIES, alone)
    of_its_page = QUERIES.groups == "0/p4"
    assert len(evidence.own) == len(QUERIES) - of_its_page.sum()
    np.testing.assert_array_equal(evidence.groups, QUERIES.groups[~of_its_page])
    assert (evidence.probabilities > 0).all()
    # a query whose duplicates are all that another class has
    twin = replace(QUERIES.take([30]), clusters=np.array(["twins"]))
    copies = replace(GALLERY, clusters=np.where(GALLERY.labels == 0, "twins", GALLERY.clusters))
    found = class_evidence(Calibrator("logistic", (1.0, 5.0)), scores_of(np.zeros((1, len(copies)))), twin, copies)
    assert found.own.tolist() == [1]
    assert found.probabilities[0, 0] == 0
    assert (found.probabilities[0, 1:] > 0.9).all()


def test_separated_scores_become_sure_probabilities_and_single_classes():
    matrix = noisy(QUERIES, GALLERY, gap=8.0, noise=0.5)
    calibration = fitted(matrix)
    probabilities = calibration.pairs(matrix)
    same = QUERIES.labels[:, None] == GALLERY.labels[None]
    assert probabilities[same].min() > 0.9
    assert probabilities[~same].max() < 0.1
    assert set(calibration.losses) == {"logistic", "isotonic"}
    assert max(calibration.losses.values()) < 0.01
    evidence = class_evidence(calibration.pairs, scores_of(matrix), QUERIES, GALLERY)
    assert (calibration.conformal.sets(evidence.probabilities).sum(1) == 1).all()


def test_probabilities_hold_on_other_pairs_of_the_same_kind():
    calibration = fitted()
    other = all_pairs(scores_of(noisy(QUERIES, GALLERY, 2.0, seed=9)), QUERIES, GALLERY)
    assert reliability(calibration.pairs(other.scores), other.labels).ece < 0.03
    prior = np.full(len(other.labels), calibration.prior)
    assert log_loss(calibration.pairs(other.scores), other.labels) < log_loss(prior, other.labels)
    assert calibration.prior == pytest.approx(all_pairs(scores_of(SCORES), QUERIES, GALLERY).labels.mean())


def test_probabilities_of_a_class_layer_that_is_too_sure_are_cooled_down():
    rng = np.random.default_rng(0)
    said = np.where(rng.random(len(QUERIES)) < 0.6, QUERIES.labels, (QUERIES.labels + 1) % 4)
    sure = np.full((len(QUERIES), 4), 0.001)
    sure[np.arange(len(said)), said] = 0.997
    assert fitted(probabilities=sure).temperature > 2
