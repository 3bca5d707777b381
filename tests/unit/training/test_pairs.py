"""Twins on judged pairs: what is promised of every training, and that something is learned."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.unit.data.judged_streets import write_streets
from tests.unit.training.test_training import KillAt, KilledError, recipe
from twinfolio.data.datamodule import Augmentation
from twinfolio.data.judged_set import open_judged_set
from twinfolio.errors import DataError
from twinfolio.models.embedder import build_siamese
from twinfolio.models.optimisation import ConstantAdam
from twinfolio.models.orb_siamese import OrbSiamese
from twinfolio.models.twin import ConvTwin
from twinfolio.training import jobs
from twinfolio.training.pairs import judged_task, train_pairs

CLOSENESS = "val/judged/closeness"


def conv_twin():
    options = {"depth": 2, "kernels": 8}
    head = {"head": "distance", "distance": "cosine", "embedding": 8}
    return ConvTwin(*build_siamese("lu_conv", weights="none", options=options, **head))


TWINS = {"orb": (lambda: OrbSiamese(4), "bits"), "conv": (conv_twin, "images")}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return open_judged_set(write_streets(tmp_path_factory.mktemp("pairs") / "set"))


def train(judged, twin, work_dir, target="sim", epochs=3, **changes):
    build, part = TWINS[twin]
    plain = dataclasses.replace(
        recipe(work_dir, epochs=epochs), augmentation=Augmentation(), schedule=ConstantAdam(0.003, 0.003), **changes
    )
    return train_pairs(judged, getattr(judged, part), target, build, 16, plain)


@pytest.mark.parametrize("twin", TWINS)
def test_a_killed_run_ends_with_the_numbers_of_an_unkilled_one(twin, judged, tmp_path, monkeypatch):
    whole = train(judged, twin, tmp_path / "whole")

    def mortal(*args, **kwargs):
        trainer = build(*args, **kwargs)
        trainer.callbacks.insert(0, KillAt(epoch=1, batch=1))
        return trainer

    build = jobs.build_trainer
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "build_trainer", mortal)
        with pytest.raises(KilledError):
            train(judged, twin, tmp_path / "killed")
    torch.manual_seed(999)
    resumed = train(judged, twin, tmp_path / "killed")
    assert resumed.metrics == whole.metrics
    assert resumed.history.equals(whole.history)
    state = resumed.twin.state_dict()
    assert all(torch.equal(state[name], value) for name, value in whole.twin.state_dict().items())


@pytest.mark.parametrize("twin", TWINS)
def test_the_kept_twin_scores_as_it_did_in_the_best_validation(twin, judged, tmp_path):
    trained = train(judged, twin, tmp_path)
    best = trained.history.set_index("epoch")[CLOSENESS]
    assert trained.metrics[CLOSENESS] == pytest.approx(best[trained.metrics["best_epoch"]], abs=1e-6)
    assert trained.metrics[CLOSENESS] == pytest.approx(best.max(), abs=1e-6)
    assert trained.metrics[f"{CLOSENESS}_low"] <= trained.metrics[CLOSENESS] <= trained.metrics[f"{CLOSENESS}_high"]
    assert trained.metrics["pretrained"] == 0


def test_streets_are_learned_from_their_colours(judged, tmp_path):
    trained = train(judged, "conv", tmp_path, epochs=15)
    assert trained.metrics[CLOSENESS] > 0.85  # who always says a half has .75
    assert trained.history["train/loss"].iloc[-1] < trained.history["train/loss"].iloc[0]


def test_the_target_is_what_is_learned(judged, tmp_path):
    targets = judged.target("fov")
    task, rows = judged_task(judged, targets)
    pairs = judged.pair_rows("val")
    np.testing.assert_array_equal(rows[task.pairs], pairs)
    np.testing.assert_array_equal(task.targets, targets[pairs[:, 0], pairs[:, 1] - len(targets)])
    assert train(judged, "orb", tmp_path, target="fov", epochs=1).metrics["epochs_run"] == 1


def test_a_target_that_was_not_judged_is_one_line(tmp_path):
    ungraded = open_judged_set(write_streets(tmp_path / "set", graded=False))
    with pytest.raises(DataError, match="no fov"):
        train(ungraded, "orb", tmp_path / "work", target="fov")
