from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.unit.assessment.scored import noisy, pages, scores_of
from twinfolio.assessment.calibration import CalibrationSettings, Impostors, PairSample, calibrate
from twinfolio.assessment.calibration_check import check_calibration
from twinfolio.assessment.images import first_answers
from twinfolio.assessment.judgement import Resampling
from twinfolio.reporting.calibration import check_chapter, write_check

GALLERY = pages("g", classes=4, groups=6)
QUERIES = pages("q", classes=4, groups=6, first_group=6)
UNKNOWN = {"n_unknown": 12.0, "n_unknown_classes": 3.0}
UNKNOWN |= {"auroc": 0.91, "auroc_low": 0.85, "auroc_high": 0.97}
UNKNOWN |= {"false_match_rate": 0.08, "false_match_rate_low": 0.01, "false_match_rate_high": 0.2}
UNKNOWN |= {"known_accepted": 0.77, "known_accepted_low": 0.6, "known_accepted_high": 0.9}


def searched_with(unknown=None, classes=True, impostor_classes=5):
    scores = scores_of(noisy(QUERIES, GALLERY, 2.0))
    layer = np.random.default_rng(0).dirichlet([1, 1, 1, 1], len(QUERIES)) if classes else None
    impostors = Impostors(np.random.default_rng(2).normal(size=40), impostor_classes)
    fits = calibrate(scores, impostors, QUERIES, GALLERY, layer, CalibrationSettings())
    labels = np.arange(200) % 2 == 0
    balanced = PairSample(np.random.default_rng(1).normal(2 * labels), labels, np.arange(200) // 10)
    answers = first_answers(scores, QUERIES, GALLERY, 10)
    check = check_calibration(fits, scores, QUERIES, GALLERY, balanced, answers, layer, Resampling(n=100))
    return SimpleNamespace(setting=SimpleNamespace(calibration=fits), check=check, unknown=unknown)


@pytest.fixture(scope="module")
def searched():
    return searched_with()


def test_two_writings_agree_byte_by_byte_and_the_figure_opens(searched, tmp_path):
    for place in ("a", "b"):
        write_check(searched.check, tmp_path / place)
    names = ("calibration.csv", "figures/reliability.png")
    assert [(tmp_path / "a" / n).read_bytes() for n in names] == [(tmp_path / "b" / n).read_bytes() for n in names]
    width, height = Image.open(tmp_path / "a" / names[1]).size
    assert width > 3 * height  # four panels: all pairs, first answers, verification pairs, class layer


def test_every_bin_is_a_row(searched, tmp_path):
    write_check(searched.check, tmp_path)
    table = pd.read_csv(tmp_path / "calibration.csv")
    for name, diagram in searched.check.diagrams.items():
        rows = table[table["pairs"] == name]
        np.testing.assert_allclose(rows["predicted"], diagram.predicted, atol=1e-6)
        np.testing.assert_allclose(rows["observed"], diagram.observed, atol=1e-6)
        gap = (rows["count"] * (rows["predicted"] - rows["observed"]).abs()).sum() / rows["count"].sum()
        assert gap == pytest.approx(searched.check.values[name], abs=1e-5)


def test_the_chapter_has_every_error_with_its_interval_and_the_promised_coverage(searched, tmp_path):
    chapter = check_chapter(searched, tmp_path)
    ((_, table),) = chapter.tables
    values = searched.check.values
    assert table["of"].tolist() == [
        "all pairs, logit as trained", "all pairs", "first ten answers", "verification pairs", "class layer"
    ]  # fmt: skip
    assert table["ECE"][1].startswith(f"{values['ece']:.3f} ({values['ece_low']:.3f}")
    text = " ".join(chapter.paragraphs)
    assert "Class sets promise 90%" in text
    assert f"measured coverage {values['coverage']:.3f}" in text
    assert f"{values['set_size']:.2f} classes a set" in text


def test_without_a_class_layer_there_is_no_row_and_no_panel_of_one(tmp_path):
    searched = searched_with(classes=False)
    write_check(searched.check, tmp_path)
    assert "class layer" not in check_chapter(searched, tmp_path).tables[0][1]["of"].tolist()
    assert "ece_classes" not in pd.read_csv(tmp_path / "calibration.csv")["pairs"].tolist()


def test_the_chapter_says_when_no_class_was_held_out(searched, tmp_path):
    (note,) = check_chapter(searched, tmp_path).notes
    assert "split.unknown_classes: 0" in note
    assert "not measured" in note


def test_the_chapter_tells_known_from_unknown_with_promise_and_outcome(searched, tmp_path):
    chapter = check_chapter(SimpleNamespace(**vars(searched) | {"unknown": UNKNOWN}), tmp_path)
    assert not chapter.notes
    text = chapter.paragraphs[-1]
    assert "12 images of 3 classes were held out" in text
    assert "AUROC 0.910 (0.850 to 0.970)" in text
    assert "lets 5% of the images of 5 other classes held out of training pass: 0.080 (0.010 to 0.200)" in text
    assert "0.770 (0.600 to 0.900) of the known are accepted" in text


def test_a_threshold_set_on_known_classes_is_said_to_promise_too_much(tmp_path):
    text = check_chapter(searched_with(UNKNOWN, impostor_classes=0), tmp_path).paragraphs[-1]
    assert "own (trained) class left out of the archive, which promises too much, pass: 0.080" in text


def test_a_single_unknown_class_has_no_interval_and_the_chapter_says_so(searched, tmp_path):
    lone = UNKNOWN | {"n_unknown_classes": 1.0, "auroc_low": np.nan, "auroc_high": np.nan}
    text = check_chapter(SimpleNamespace(**vars(searched) | {"unknown": lone}), tmp_path).paragraphs[-1]
    assert "AUROC 0.910 (no interval: a single class)" in text
    assert "nan" not in text
