"""Training in rounds until validation stops improving: caps, kills, and weights that are never worse than the start."""

import dataclasses
import json

import pytest

from tests.unit.training.test_training import CLASSIFIER, SIAMESE, KillAt, KilledError, recipe, same_result
from tests.unit.training.tiny_store import write_store
from twinfolio.models.bundle import save_model
from twinfolio.models.optimisation import SteadySchedule
from twinfolio.training import jobs, trainer
from twinfolio.training.classify import train_classifier
from twinfolio.training.round_cap import CAP_FILE
from twinfolio.training.rounds import LEAST_ROUNDS, LEAST_STEPS
from twinfolio.training.siamese import train_siamese
from twinfolio.training.trainer import Budget

UNIT = dataclasses.replace(CLASSIFIER, normalise=True, pair_weight=1.0, images_per_class=3)
OPEN = Budget(None, patience=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("open") / "store")


def open_recipe(work_dir, budget=OPEN):
    return dataclasses.replace(recipe(work_dir, budget=budget), schedule=SteadySchedule(lr=0.01, trunk_lr=0.003))


def test_training_ends_when_validation_stops_improving(store, tmp_path):
    trained = train_classifier(store, UNIT, open_recipe(tmp_path))
    facts = trained.metrics
    assert facts["steps"] == LEAST_STEPS * facts["epochs_run"] == LEAST_STEPS * len(trained.history)
    assert facts["epochs_run"] <= facts["best_epoch"] + 5
    assert facts["capped"] == 0


def test_a_cap_is_decided_once_and_kept(store, tmp_path, monkeypatch):
    budget = Budget(None, patience=50, minutes=1e-6)
    monkeypatch.setattr(trainer, "PERFECT", 2.0)  # these stripes are learned without a fault before the cap
    seen = []

    def mortal(*args, **kwargs):
        built = build(*args, **kwargs)
        built.callbacks.append(KillAt(epoch=1, batch=1))
        return built

    build = jobs.build_trainer
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "build_trainer", mortal)
        with pytest.raises(KilledError):
            train_classifier(store, UNIT, open_recipe(tmp_path, budget))
    seen.append(json.loads((tmp_path / CAP_FILE).read_text()))
    trained = train_classifier(store, UNIT, open_recipe(tmp_path, budget))
    seen.append(json.loads((tmp_path / CAP_FILE).read_text()))
    assert seen[0] == seen[1]
    assert trained.metrics["epochs_run"] == LEAST_ROUNDS == seen[0]["rounds"]
    assert trained.metrics["capped"] == 1
    whole = train_classifier(store, UNIT, open_recipe(tmp_path.with_name("whole"), budget))
    same_result(whole, trained)


def test_training_ends_at_once_when_validation_is_without_a_fault_and_a_second_start_agrees(store, tmp_path):
    easy = dataclasses.replace(UNIT, label_smoothing=0.0)
    first = train_classifier(store, easy, open_recipe(tmp_path, Budget(None, patience=50)))
    values = first.history["val/classification/macro_f1"]
    assert values.iloc[-1] == 1.0
    assert (values.iloc[:-1] < 1.0).all()
    same_result(first, train_classifier(store, easy, open_recipe(tmp_path, Budget(None, patience=50))))


@pytest.mark.parametrize("job", ["classifier", "siamese"])
def test_what_is_kept_validates_at_least_as_the_start_does(job, store, tmp_path):
    if job == "classifier":
        facts = train_classifier(store, UNIT, open_recipe(tmp_path)).metrics
        kept = facts["val/classification/macro_f1"]
    else:
        spec = dataclasses.replace(SIAMESE, steps_per_epoch=None)
        facts = train_siamese(store, spec, open_recipe(tmp_path)).metrics
        kept = facts["val/retrieval/mAP"]
    assert kept == pytest.approx(max(kept, facts["val_start"], facts["val_end"]))
    assert 0 <= facts["kept_share"] <= 1


def test_a_siamese_model_begins_with_its_classifiers_ranking_and_classes(store, tmp_path):
    classifier = train_classifier(store, UNIT, open_recipe(tmp_path / "classify"))
    folder = tmp_path / "model"
    save_model(folder, embedder=classifier.embedder, head=None, class_layer=classifier.class_layer,
               config=classifier.config)  # fmt: skip
    frozen = dataclasses.replace(SteadySchedule(), lr=1e-9, trunk_lr=0.0)
    plan = dataclasses.replace(open_recipe(tmp_path / "siamese"), schedule=frozen)
    spec = dataclasses.replace(SIAMESE, distance="cosine", embedding=None, steps_per_epoch=None, start=folder)
    siamese = train_siamese(store, spec, plan)
    assert siamese.metrics["val_start"] == pytest.approx(siamese.metrics["val_end"], abs=1e-3)
    assert siamese.class_layer.weight.sub(classifier.class_layer.weight).abs().max() < 1e-4


def test_a_refit_trains_the_rounds_and_keeps_the_share_of_what_it_repeats(store, tmp_path):
    spec = dataclasses.replace(SIAMESE, steps_per_epoch=None, refit=True, kept_share=0.5)
    refitted = train_siamese(store, spec, open_recipe(tmp_path, Budget(None, patience=1, rounds=2)))
    assert refitted.metrics["epochs_run"] == 2
    assert "val/retrieval/mAP" not in refitted.metrics
