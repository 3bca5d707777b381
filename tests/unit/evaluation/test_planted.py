import numpy as np
import pytest

from twinfolio.evaluation.planted import PlantedScores, planted_report
from twinfolio.evaluation.verification import check_identity

KINDS = np.array(["faded", "rotated", "faded", "rotated"])
GROUPS = np.array(["p1", "p1", "p2", "p2"])
ORIGINALS = np.array([0, 0, 1, 1])
# the copies of the second original: one is found behind another image, one shares the first place with two others
SCORES = np.array([[0.9, 0.1, 0.2, 0.0], [0.8, 0.3, 0.1, 0.0], [0.1, 0.6, 0.7, 0.0], [0.1, 0.4, 0.4, 0.4]])


def planted(scores=SCORES, barred=None):
    none = np.zeros(scores.shape, bool)
    return PlantedScores(scores, ORIGINALS, KINDS, GROUPS, none if barred is None else barred)


def test_counts_and_shares_are_of_all_pairs_at_the_threshold():
    report = planted_report(planted(), 0.5)
    assert [report[key] for key in ("tp", "fp", "fn", "tn")] == [3, 1, 1, 11]
    assert (report["precision"], report["recall"], report["prevalence"]) == (0.75, 0.75, 0.25)
    assert (report["n_copies"], report["n_gallery"], report["n_pairs"]) == (4, 4, 16)
    check_identity(report)


def test_recall_is_told_by_kind():
    report = planted_report(planted(), 0.5)
    assert (report["recall_faded"], report["recall_rotated"]) == (1.0, 0.5)
    assert report["recall@1"] == pytest.approx((1 + 1 + 0 + 1 / 3) / 4)
    assert report["recall@1_faded"] == 0.5
    assert report["recall@1_rotated"] == pytest.approx((1 + 1 / 3) / 2)


def test_a_real_duplicate_of_the_original_counts_neither_way():
    barred = np.zeros(SCORES.shape, bool)
    barred[2:, 2] = True
    report = planted_report(planted(barred=barred), 0.5)
    assert [report[key] for key in ("tp", "fp", "fn", "tn")] == [3, 0, 1, 10]
    assert report["recall@1_faded"] == 1
    assert report["recall@1_rotated"] == pytest.approx((1 + 1 / 2) / 2)


def test_the_threshold_is_the_best_over_the_pairs_that_count():
    assert planted().threshold() == pytest.approx(0.5)
    barred = np.zeros(SCORES.shape, bool)
    barred[2:, 2:] = True
    assert planted(barred=barred).threshold() == pytest.approx(0.35)


def test_without_a_failure_the_interval_is_not_a_point():
    report = planted_report(planted(np.eye(4)[ORIGINALS]), 0.5)
    for name in ("precision", "recall", "f1", "recall@1", "recall_faded", "recall@1_rotated"):
        assert report[name] == report[f"{name}_high"] == 1
        assert 0.2 < report[f"{name}_low"] < 0.5


def test_intervals_draw_the_originals_groups():
    rng = np.random.default_rng(0)
    found = rng.random(40) < 0.5
    scores = np.where(np.eye(40, dtype=bool), np.where(found, 1.0, 0.4)[:, None], 0.0).repeat(5, axis=0)
    originals, kinds = np.arange(40).repeat(5), np.tile(np.arange(5), 40)
    none = np.zeros(scores.shape, bool)
    by_original, by_copy = (
        planted_report(PlantedScores(scores, originals, kinds, groups, none), 0.5)
        for groups in (originals, np.arange(200))
    )
    widths = [report["recall_high"] - report["recall_low"] for report in (by_original, by_copy)]
    assert widths[0] > 1.8 * widths[1]


@pytest.mark.parametrize("spoil", ["nan", "barred", "short"])
def test_arrays_that_do_not_fit_are_refused(spoil):
    scores, barred = SCORES.copy(), np.zeros(SCORES.shape, bool)
    if spoil == "nan":
        scores[0, 0] = np.nan
    if spoil == "barred":
        barred[0, 0] = True
    if spoil == "short":
        barred = barred[:, 1:]
    with pytest.raises(ValueError, match=r"NaN|barred"):
        planted(scores, barred)
