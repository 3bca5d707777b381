import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.assessment.conftest import cosine_head, make_ready_of, make_systems, setting_of, write_unknown
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.evaluate import evaluate_systems
from twinfolio.assessment.few_shot import TrialPlan
from twinfolio.assessment.images import image_scores
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.scene import open_scene
from twinfolio.assessment.searched import SearchSetting, read_setting, search_test
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.errors import DataError
from twinfolio.evaluation.pairs import pair_scores
from twinfolio.reporting.readiness import write_readiness
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.views import Views
from twinfolio.retrieval.whitening import fit_whitening

HOW = Resampling(n=100)
COSINE = make_systems()[1]


@pytest.fixture
def ready(whole_store, tmp_path):
    compared = compare_systems([COSINE], ["cosine"], whole_store, tmp_path / "e", PairSettings(), HOW)
    return make_ready_of(COSINE, whole_store, compared, tmp_path / "e", methods=())


@pytest.fixture
def searched(whole_store, ready, tmp_path):
    """Test searched under a recipe, the champion's own judgement, and the scene."""

    def run(recipe, threshold=0.3):
        scene = open_scene(whole_store, {"cosine": tmp_path / "e" / "cosine.npz"}, 5, 5, HOW)
        setting = SearchSetting(recipe, threshold, ready.calibration)
        evaluation = evaluate_systems(
            [COSINE], scene, champion="cosine", build=cosine_head, thresholds={"cosine": threshold}, search=setting,
            sheet_queries=2,
            trials=TrialPlan(ways=20, shots=1, trials=40, seed=0),
        )  # fmt: skip
        return evaluation.searched, evaluation.tested["cosine"].judgement, scene

    return run


def embedded(scene, views, *splits):
    seen = replace(COSINE, embed=Recipe(views=views).forward(COSINE.embed))
    return np.concatenate([embed_originals(seen, scene.stores[s].images, scene.parts[s], s) for s in splits])


def test_a_plain_recipe_is_the_champion_itself(searched):
    found, champion, _ = searched(Recipe())
    for name in ("retrieval_values", "verification_values"):
        assert getattr(found.judgement, name) == pytest.approx(getattr(champion, name), abs=1e-5)
    np.testing.assert_allclose(found.judgement.pair_scores, champion.pair_scores, atol=1e-5)
    np.testing.assert_array_equal(found.judgement.answers.ids, champion.answers.ids)
    assert found.gain[:3] == pytest.approx((0, 0, 0), abs=1e-5)


def test_the_gain_is_the_paired_difference_to_the_champion(searched):
    found, champion, _ = searched(Recipe(whitening=fit_whitening(np.random.default_rng(0).normal(size=(9, 3)), 1)))
    difference = found.judgement.average_precision - champion.average_precision
    assert np.abs(difference).max() > 0.01
    assert found.gain.difference == pytest.approx(np.nanmean(difference))
    assert found.gain.low <= found.gain.difference <= found.gain.high


def test_a_whitening_is_learned_anew_from_the_gallery(searched):
    other = fit_whitening(np.random.default_rng(0).normal(size=(50, 3)), 2, 0.1)
    found, _, scene = searched(Recipe(whitening=other))
    vectors = embedded(scene, None, "train", "val")
    np.testing.assert_allclose(found.gallery_vectors, vectors)
    expected, kept = fit_whitening(vectors, 2, 0.1), found.setting.recipe.whitening
    np.testing.assert_allclose(kept.mean, expected.mean)
    np.testing.assert_allclose(kept.projection, expected.projection)
    assert np.abs(kept.mean - other.mean).max() > 0.1


def test_gallery_and_test_are_embedded_under_the_views(searched):
    views = Views(2, 0.5)
    found, _, scene = searched(Recipe(views=views))
    gallery, test = embedded(scene, views, "train", "val"), embedded(scene, views, "test")
    np.testing.assert_allclose(found.gallery_vectors, gallery)
    assert np.abs(gallery - scene.gallery_embeddings("cosine")).max() > 1
    scores = image_scores(COSINE.scores, test, scene.queries, gallery, scene.gallery)
    expected = pair_scores(scene.pairs, scores, scene.queries.items.ids, scene.gallery.items.ids)
    np.testing.assert_allclose(found.judgement.pair_scores, expected, atol=1e-5)


def test_decisions_use_the_threshold_of_validation(searched):
    for threshold in (0.3, 0.9):
        found, _, scene = searched(Recipe(), threshold)
        accepted = found.judgement.pair_scores >= threshold
        assert found.judgement.threshold == threshold
        np.testing.assert_array_equal(found.judgement.correct, accepted == scene.pairs["label"].to_numpy().astype(bool))


def test_unknown_classes_are_told_from_known_ones(searched, ready, whole_store):
    assert searched(Recipe())[0].unknown is None
    write_unknown(whole_store)
    found, _, scene = searched(Recipe())
    report, others = found.unknown, scene.parts["unknown"]
    assert (report["n_unknown"], report["n_unknown_classes"], report["n_known"]) == (12, 2, 24)
    assert set(np.char.partition(others.items.ids, "/")[:, 0]) == {"unalif", "unta"}
    assert report["auroc"] > 0.95
    vectors = embedded(scene, None, "unknown")
    scores = image_scores(COSINE.scores, vectors, others, found.gallery_vectors, scene.gallery)
    best = scores(np.arange(12), np.arange(len(scene.gallery))).max(1)
    assert report["threshold"] == ready.calibration.unknown
    assert report["false_match_rate"] == pytest.approx((best >= ready.calibration.unknown).mean())
    assert 0 < report["false_match_rate"] < report["known_accepted"] == 1
    for key in ("auroc", "false_match_rate", "known_accepted", "known_identified"):
        assert report[f"{key}_low"] <= report[key] <= report[f"{key}_high"]


def test_unknown_classes_that_look_like_known_ones_cannot_be_told_apart(searched, whole_store):
    write_unknown(whole_store, strange=False)
    report = searched(Recipe())[0].unknown
    assert 0.3 < report["auroc"] < 0.7
    assert report["auroc_high"] < 0.9
    assert report["false_match_rate"] == pytest.approx(report["known_accepted"], abs=0.2)
    assert report["known_identified"] <= report["known_accepted"]


def test_unknown_queries_are_embedded_under_the_views_too(searched, whole_store):
    write_unknown(whole_store)
    calls = []

    def embed(images):
        calls.append(len(images))
        return COSINE.embed(images)

    _, champion, scene = searched(Recipe())
    watched = replace(COSINE, embed=embed)
    setting = SearchSetting(Recipe(views=Views(1, 0.5)), 0.3, searched(Recipe())[0].setting.calibration)
    found = search_test(watched, cosine_head, setting, scene, embedded(scene, None, "test"), champion)
    rows = sum(len(scene.parts[split].rows) for split in ("train", "val", "test", "unknown"))
    assert sum(calls) == 2 * rows  # the whole image and its centre
    assert found.unknown["n_unknown"] == 12


def test_test_itself_changes_no_setting(searched, ready):
    found, _, _ = searched(Recipe())
    assert found.setting.calibration == ready.calibration


def test_what_calibrate_wrote_evaluate_reads_to_the_last_digit(ready, tmp_path):
    write_readiness(ready, tmp_path / "out", tmp_path / "report")
    setting, expected = read_setting(tmp_path / "out"), setting_of(ready)
    assert (setting.threshold, setting.calibration) == (expected.threshold, expected.calibration)
    assert setting.recipe.facts() == expected.recipe.facts()


@pytest.mark.parametrize(
    ("name", "text"),
    [("threshold.json", None), ("calibration.json", "{"), ("calibration.json", "{}"), ("threshold.json", "[]")],
)
def test_a_missing_or_broken_setting_names_its_folder(ready, tmp_path, name, text):
    write_readiness(ready, tmp_path / "out", tmp_path / "report")
    (tmp_path / "out" / name).unlink()
    if text is not None:
        (tmp_path / "out" / name).write_text(text)
    with pytest.raises(DataError, match=r"out: cannot be read .* run the stage calibrate again"):
        read_setting(tmp_path / "out")


def test_fits_are_written_as_plain_json(ready, tmp_path):
    write_readiness(ready, tmp_path / "out", tmp_path / "report")
    values = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert set(values) == {"pairs", "classes", "unknown", "conformal"}
    assert set(values["pairs"]) == {"method", "scores", "probabilities", "prior", "log_loss"}
