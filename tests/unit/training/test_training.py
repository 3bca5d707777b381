import dataclasses

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from tests.unit.training.tiny_store import write_store
from twinfolio.data.datamodule import Augmentation
from twinfolio.errors import DataError
from twinfolio.models.optimisation import Schedule
from twinfolio.models.siamese import PairObjective
from twinfolio.training import jobs
from twinfolio.training.checkpoints import AtomicCheckpointIO, RememberingEarlyStopping
from twinfolio.training.classify import ClassifierSpec, train_classifier
from twinfolio.training.data import gallery_rows, open_rows, retrieval_task
from twinfolio.training.jobs import Recipe
from twinfolio.training.siamese import SiameseSpec, train_siamese
from twinfolio.training.trainer import Budget, Hardware, resolve_precision

CLASSIFIER = ClassifierSpec(trunk="test_efficientnet", weights="none", batch_size=12, label_smoothing=0.1)
SIAMESE = SiameseSpec(
    distance="l2",
    trunk="test_efficientnet",
    weights="none",
    embedding=8,
    classes_per_batch=3,
    images_per_class=2,
    steps_per_epoch=3,
    gallery=9,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("training") / "store")


def recipe(work_dir, *, epochs=2, seed=0, **changes):
    return Recipe(
        seed=seed,
        schedule=Schedule(lr=0.01, trunk_lr=0.003, warmup=0.2),
        augmentation=Augmentation(crop=24, colour_jitter=0.3, grey=0.2),
        budget=changes.pop("budget", Budget(epochs=epochs, patience=10)),
        hardware=Hardware(accelerator="cpu"),
        work_dir=work_dir,
        **changes,
    )


class KilledError(Exception):
    pass


class KillAt(pl.Callback):
    """Dies in the middle of an epoch, as a killed process does."""

    def __init__(self, epoch, batch):
        self.epoch, self.batch = epoch, batch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            raise KilledError


def same_result(first, second):
    assert first.metrics == second.metrics
    assert first.history.equals(second.history)
    one, two = first.embedder.state_dict(), second.embedder.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


JOBS = {"classifier": (train_classifier, CLASSIFIER), "siamese": (train_siamese, SIAMESE)}


@pytest.mark.parametrize("job", JOBS)
def test_a_killed_run_ends_with_the_numbers_of_an_unkilled_one(job, store, tmp_path, monkeypatch):
    train, spec = JOBS[job]
    whole = train(store, spec, recipe(tmp_path / "whole", epochs=3))

    def mortal(*args, **kwargs):
        trainer = build(*args, **kwargs)
        trainer.callbacks.insert(0, KillAt(epoch=1, batch=1))
        return trainer

    build = jobs.build_trainer
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "build_trainer", mortal)
        with pytest.raises(KilledError):
            train(store, spec, recipe(tmp_path / "killed", epochs=3))
    assert (tmp_path / "killed" / "last.ckpt").exists()
    torch.manual_seed(999)
    resumed = train(store, spec, recipe(tmp_path / "killed", epochs=3))
    assert len(resumed.history) == 3
    same_result(whole, resumed)
    # killed after the last epoch, before the outs were written
    same_result(whole, train(store, spec, recipe(tmp_path / "killed", epochs=3)))


@pytest.mark.parametrize("job", JOBS)
def test_the_kept_model_scores_as_it_did_in_the_best_validation(job, store, tmp_path):
    train, spec = JOBS[job]
    trained = train(store, spec, recipe(tmp_path))
    name = "val/classification/macro_f1" if job == "classifier" else "val/retrieval/mAP"
    best = trained.history.loc[trained.history["epoch"] == trained.metrics["best_epoch"], name]
    assert trained.metrics[name] == pytest.approx(float(best.iloc[0]), abs=1e-6)
    assert trained.metrics[name] == pytest.approx(trained.history[name].max(), abs=1e-6)
    assert trained.metrics[f"{name}_low"] <= trained.metrics[name] <= trained.metrics[f"{name}_high"]


def test_the_same_seed_trains_the_same_model_and_another_seed_another(store, tmp_path):
    first, second, other = (
        train_classifier(store, CLASSIFIER, recipe(tmp_path / str(n), epochs=1, seed=seed))
        for n, seed in enumerate((0, 0, 1))
    )
    same_result(first, second)
    assert first.history["train/loss"][0] != other.history["train/loss"][0]


def test_the_classifier_learns(store, tmp_path):
    trained = train_classifier(store, CLASSIFIER, recipe(tmp_path, epochs=8))
    assert trained.metrics["val/classification/macro_f1"] > 0.8
    assert trained.history["train/loss"].iloc[-1] < trained.history["train/loss"].iloc[0]


def test_training_starts_from_the_classifiers_trunk(store, tmp_path):
    from twinfolio.models.bundle import save_model

    trained = train_classifier(store, CLASSIFIER, recipe(tmp_path / "a", epochs=1))
    save_model(
        tmp_path / "model", embedder=trained.embedder, head=None, class_layer=trained.class_layer, config=trained.config
    )
    spec = dataclasses.replace(SIAMESE, start=tmp_path / "model")
    frozen = dataclasses.replace(recipe(tmp_path / "b", epochs=1), schedule=Schedule(trunk_lr=0))
    started = train_siamese(store, spec, frozen).embedder.trunk.state_dict()
    source = trained.embedder.trunk.state_dict()
    assert all(torch.equal(started[name], source[name]) for name in source)


def test_episodes_train(store, tmp_path):
    objective = PairObjective(loss="bce", pairs="episodes", class_weight=0.0)
    trained = train_siamese(store, dataclasses.replace(SIAMESE, objective=objective), recipe(tmp_path, epochs=1))
    assert trained.class_layer is None
    assert np.isfinite(trained.history["train/loss"]).all()


def test_validation_keeps_its_interval_and_never_misses_the_last_epoch(store, tmp_path):
    budget = Budget(epochs=5, patience=5, validate_every=3)
    history = train_classifier(store, CLASSIFIER, recipe(tmp_path, budget=budget)).history
    assert history["val/classification/macro_f1"].notna().tolist() == [False, False, True, False, True]


def test_a_refit_uses_all_epochs_all_rows_and_the_last_weights_and_claims_no_validation(store, tmp_path):
    trained = train_siamese(store, dataclasses.replace(SIAMESE, refit=True), recipe(tmp_path, epochs=2))
    assert trained.metrics["best_epoch"] == trained.metrics["epochs_run"] == 2
    assert not [name for name in (*trained.metrics, *trained.history) if name.startswith("val/")]
    train, val = open_rows(store, refit=True)
    assert len(train) == len(open_rows(store)[0]) + len(val)


def test_spent_patience_stops_a_resumed_run_before_another_epoch():
    trainer = type("Trainer", (), {"should_stop": False})()
    callback = RememberingEarlyStopping("val", mode="max", patience=2)
    callback.wait_count = 1
    callback.on_train_start(trainer, None)
    assert not trainer.should_stop
    callback.wait_count = 2
    callback.on_train_start(trainer, None)
    assert trainer.should_stop


def test_early_stopping_ends_a_run_that_no_longer_gains(store, tmp_path):
    still = dataclasses.replace(recipe(tmp_path, budget=Budget(epochs=9, patience=2)), schedule=Schedule(1e-12, 1e-12))
    first = train_classifier(store, CLASSIFIER, still)
    assert first.metrics["epochs_run"] < 9
    same_result(first, train_classifier(store, CLASSIFIER, still))


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path, io = tmp_path / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"epoch": 1}, path)

    def broken(value, target):
        target.write_bytes(b"half")
        raise OSError("no space")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="no space"):
        io.save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_the_gallery_holds_originals_of_all_classes_and_at_most_the_size(store):
    train, val = open_rows(store)
    gallery = gallery_rows(train, 7, seed=0)
    assert len(gallery) == 7
    assert set(gallery.index["copy"]) == {0}
    assert set(gallery.labels) == {0, 1, 2}
    task = retrieval_task(val, gallery)
    assert task.relevant.shape == task.excluded.shape == (9, 7)
    assert not task.excluded.any()


def test_an_empty_split_is_named(store, tmp_path):
    import shutil

    from tests.unit.training.tiny_store import write_split

    shutil.copytree(store, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / "val")
    write_split(tmp_path / "store" / "val", 1, classes=3, size=32)
    for name in ("images.npy", "labels.npy"):
        np.save(tmp_path / "store" / "val" / name, np.load(tmp_path / "store" / "val" / name)[:0])
    index = (tmp_path / "store" / "val" / "index.csv").read_text().splitlines()[0]
    (tmp_path / "store" / "val" / "index.csv").write_text(index + "\n")
    with pytest.raises(DataError, match="val: no images"):
        open_rows(tmp_path / "store")


@pytest.mark.parametrize(
    ("asked", "given"), [("32", "32-true"), ("bf16", "bf16-mixed"), ("16", "16-mixed"), ("auto", "32-true")]
)
def test_precision_names_are_lightnings(asked, given):
    assert resolve_precision(asked, "cpu") == given
