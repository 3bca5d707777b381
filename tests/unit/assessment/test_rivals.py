from dataclasses import replace

import numpy as np
import pytest

from tests.unit.assessment.conftest import make_systems
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.rivals import Choices, Planting, contrasts, score_test, validate
from twinfolio.assessment.scene import open_scene
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.evaluation.verification import accept

HOW, PLANTING = Resampling(n=100), Planting(originals=6, seed=0)
CLASSICAL = ["l1", "colour_histogram"]


@pytest.fixture
def systems():
    """A good one, a poor one, and the good one turned upside down."""
    l1, cosine, histogram = make_systems()
    return [cosine, l1, replace(histogram, scores=lambda x, y: -histogram.scores(x, y))]


@pytest.fixture
def validated(systems, store_root, tmp_path):
    assert not (store_root / "test").exists()
    return validate(systems, CLASSICAL, store_root, tmp_path / "embeddings", PairSettings(), PLANTING, HOW)


@pytest.fixture
def tested(validated, systems, whole_store, tmp_path):
    paths = {one.name: tmp_path / "embeddings" / f"{one.name}.npz" for one in systems}
    scene = open_scene(whole_store, paths, 10, 10, HOW)
    return scene, *score_test(systems, validated.choices, scene, PLANTING)


def test_validation_names_the_best_classical_system_and_never_a_net(validated):
    judged = validated.comparison.judged
    assert validated.choices.best_retrieval == "l1"
    assert judged["cosine"].retrieval_values["mAP"] > judged["l1"].retrieval_values["mAP"]
    f1 = {name: validated.planted[name]["f1"] for name in CLASSICAL}
    assert validated.choices.best_planted == max(f1, key=f1.__getitem__)


def test_thresholds_are_validations_for_pairs_and_for_copies(validated):
    for name, chosen in validated.choices.thresholds.items():
        assert chosen.pairs == validated.comparison.thresholds[name]
        assert chosen.planted == validated.planted[name]["threshold"]


def test_choices_survive_json(validated):
    assert Choices.of_json(validated.choices.as_json()) == validated.choices


def test_test_is_judged_by_validations_thresholds(tested, validated):
    scene, outcomes, _ = tested
    for name, outcome in outcomes.items():
        chosen = validated.choices.thresholds[name]
        labels = scene.pairs["label"].to_numpy().astype(bool)
        right = accept(outcome.judgement.pair_scores, chosen.pairs) == labels
        np.testing.assert_array_equal(outcome.judgement.correct, right)
        assert outcome.planted_values["threshold"] == chosen.planted
        assert outcome.planted_values["recall"] == pytest.approx(outcome.planted.found(chosen.planted).mean())


def test_copies_are_of_test_and_look_among_train_and_test(tested):
    scene, outcomes, planted = tested
    assert set(planted.originals) <= set(scene.queries.items.ids)
    assert len(planted.kinds) == 6 * 5
    values = outcomes["cosine"].planted_values
    assert values["n_gallery"] == len(scene.parts["train"]) + len(scene.queries)


def test_contrasts_are_against_the_best_classical_and_the_others_named(tested, validated):
    scene, outcomes, _ = tested
    choices = replace(validated.choices, best_retrieval="l1", best_planted="colour_histogram")
    table = contrasts(outcomes, "cosine", choices, ["l1"], scene).set_index(["b", "measure"])
    assert list(table.index) == [
        ("l1", "retrieval mAP"), ("l1", "verification accuracy"),
        ("colour_histogram", "planted recall"), ("colour_histogram", "planted recall@1"),
        ("l1", "planted recall"), ("l1", "planted recall@1"),
    ]  # fmt: skip
    means = [outcomes[name].judgement.retrieval_values["mAP"] for name in ("cosine", "l1")]
    assert table.loc[("l1", "retrieval mAP"), "difference"] == pytest.approx(means[0] - means[1])
    found = [outcomes[name].planted_values["recall"] for name in ("cosine", "colour_histogram")]
    assert table.loc[("colour_histogram", "planted recall"), "difference"] == pytest.approx(found[0] - found[1])
