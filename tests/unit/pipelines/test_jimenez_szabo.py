"""Jimenez & Szabo's study, its stages one after another in this process, on a few made-up streets."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.unit.pipelines.stages import run_stage_here, run_study_here, study_params, workspace
from twinfolio.data.judged_set import open_judged_set
from twinfolio.data.judged_split import GAP
from twinfolio.errors import DataError, ParamsError
from twinfolio.models.optimisation import ConstantAdam, Schedule
from twinfolio.models.orb_siamese import OrbSiamese
from twinfolio.models.twin import ConvTwin
from twinfolio.models.twin_folder import load_twin

TINY = {
    "judged.drawn": {"streets": 12, "queries": 3, "maps": 4, "side": 48},
    "judged.fractions": [0.5, 0.25, 0.25],
    "judged.key_points": 10,
    "jimenez_szabo.trainings": ["orb4-sim-0", "orb10-fov-1", "conv-fov-0"],
    "jimenez_szabo.epochs": 2,
    "jimenez_szabo.bootstrap": 20,
    "siamese.trunk_options": {"depth": 2, "kernels": 8},
    "siamese.embedding": 8,
    "siamese.epochs": 2,
    "classical.systems": ["bow_orb", "vlad_rootsift_matched", "phash"],
    "classical.bow_words": [10, 20],
    "classical.vlad_words": [4],
    "classical.matched": 50,
    "classical.candidates": 10,
    "classical.workers": 1,
    "classify.trunk": "test_efficientnet",
    "classify.weights": "none",
    "trainer.accelerator": "cpu",
}


def read_params(**changes):
    return study_params("jimenez_szabo", **TINY | changes)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The workspace after all of its stages."""
    with workspace(tmp_path_factory.mktemp("judged")) as root:
        run_study_here(
            read_params(), TINY["jimenez_szabo.trainings"], first="judged", each="judged_pairs", last="judged_tables"
        )
        yield root


@pytest.fixture
def read(stage_module):
    return importlib.import_module("_judged").read


def test_a_street_is_in_one_split_alone(here):
    judged = open_judged_set(here / "outputs/judged/set")
    about = json.loads((here / "outputs/judged/about.json").read_text())
    streets = [set(judged.places[judged.queries(split)]) for split in ("train", "val", "test")]
    assert not streets[0] & streets[1]
    assert not (streets[0] | streets[1]) & streets[2]
    assert sum(about["queries"].values()) == len(judged.sim) == 36
    assert about["queries"].get("unanswered", 0) == int((~judged.sim.any(axis=1)).sum())
    np.testing.assert_array_equal(judged.sim, judged.fov >= 0.25)
    assert about["pairs"]["train"] == len(judged.pair_rows("train"))


def test_each_training_leaves_its_twin(here):
    twins = {name: load_twin(here / f"outputs/judged_pairs/{name}/model") for name in TINY["jimenez_szabo.trainings"]}
    assert [type(twin) for twin in twins.values()] == [OrbSiamese, OrbSiamese, ConvTwin]
    assert (twins["orb4-sim-0"].key_points, twins["orb10-fov-1"].key_points) == (4, 10)
    metrics = json.loads((here / "reports/judged_pairs/conv-fov-0/metrics.json").read_text())
    assert metrics["epochs_run"] == 2
    assert 0 < metrics["val/judged/closeness"] <= 1


def test_the_tables_have_every_system_and_test_is_counted_once(here):
    table = pd.read_csv(here / "reports/judged_tables/systems.csv").set_index("system")
    assert set(table.index) == {
        "orb4-sim-0", "orb10-fov-1", "conv-fov-0", "bow_orb", "vlad_rootsift_matched", "phash", "frozen_trunk",
        "colour_histogram",
    }  # fmt: skip
    assert table["val_mAP"].is_monotonic_decreasing
    assert (here / "reports/judged_tables/report.html").exists()
    metrics = json.loads((here / "reports/judged_tables/metrics.json").read_text())
    assert {"test/ranking/bow_orb/recall@1", "test/pairs/conv-fov-0/mae_low"} <= set(metrics)
    assert len((here / "reports/test_uses.csv").read_text().splitlines()) == 2


def test_a_stage_that_was_killed_after_its_answers_opens_test_no_second_time(here):
    before = (here / "reports/judged_tables/systems.csv").read_text()
    run_stage_here("judged_tables", read_params())
    assert (here / "reports/judged_tables/systems.csv").read_text() == before
    assert len((here / "reports/test_uses.csv").read_text().splitlines()) == 2


def test_orb_twins_are_trained_as_in_the_paper_and_the_convolutional_one_by_its_section(stage_module, tmp_path):
    training, recipe_of = importlib.import_module("_judged").Training, importlib.import_module("_training").recipe_of
    params = study_params("jimenez_szabo")
    orb = recipe_of(training.named("orb50-fov-3").params(params).siamese, params.trainer, tmp_path)
    assert (type(orb.schedule), orb.schedule.lr, orb.schedule.trunk_lr) == (ConstantAdam, 1e-3, 1e-3)
    assert (orb.budget.epochs, orb.budget.patience, orb.seed) == (30, 5, 3)
    assert (orb.augmentation.crop, orb.augmentation.colour_jitter, orb.augmentation.grey) == (None, 0, 0)
    assert params.jimenez_szabo.batch_size == 32
    conv = recipe_of(training.named("conv-sim-0").params(params).siamese, params.trainer, tmp_path)
    assert type(conv.schedule) is Schedule
    assert conv.augmentation.colour_jitter > 0


def write_images(folder, side, names):
    (folder / side).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (40, 48, 3)).astype(np.uint8)).save(folder / side / f"{name}.png")


def test_a_judged_folder_of_ones_own_is_read_and_its_unreadable_images_are_left_out(read, tmp_path):
    write_images(tmp_path, "query", "abc")
    write_images(tmp_path, "map", "klmn")
    np.savez(tmp_path / "relevance.npz", sim=np.array([[1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 0]]))
    (tmp_path / "map" / "m.png").write_bytes(b"")
    found, places = read(read_params(**{"judged.source": str(tmp_path)}).judged)
    assert found.left_out == (("map/m.png", "empty file"),)
    assert found.judged.sim.shape == (3, 3)
    assert places.tolist() == [0, 0, 2]  # a and b share the map n
    _, alone = read(read_params(**{"judged.source": str(tmp_path), "judged.split": "queries"}).judged)
    assert alone.tolist() == [0, 1, 2]


def test_frames_of_a_walk_stay_together_also_where_one_is_missing(read, tmp_path):
    names = [f"{frame:04d}" for frame in range(40)]
    for side in ("query", "reference"):
        write_images(tmp_path, side, names)
    (tmp_path / "query" / "0003.png").write_bytes(b"")
    changes = {"judged.source": str(tmp_path), "judged.frames": 1, "judged.tile": 5}
    found, places = read(read_params(**changes).judged)
    assert len(places) == len(found.queries) == 39
    assert np.bincount(places).tolist() == [4, 5, 5, 5, 5, 5, 5, 5]
    split = importlib.import_module("judged").split_queries(found.judged.sim, places, (0.5, 0.25, 0.25), 0)
    assert GAP in split
    _, apart = read(read_params(**changes | {"judged.frames": None}).judged)
    assert len(np.unique(apart)) == 39


def test_no_key_point_at_all_is_one_line(stage_module, tmp_path, monkeypatch):
    for side, names in (("query", "abcdef"), ("map", "abcdef")):
        (tmp_path / side).mkdir()
        for name in names:
            Image.new("RGB", (40, 40), "white").save(tmp_path / side / f"{name}.png")
    np.savez(tmp_path / "relevance.npz", sim=np.eye(6))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="none of 12 images has a key point"):
        run_stage_here("judged", read_params(**{"judged.source": str(tmp_path)}))


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ({"sim": np.eye(3)}, "sim is 3 x 3, there are 6 queries and 6 maps"),
        ({"sim": np.eye(6) * 0.4}, "sim holds 0.4; judge by 0 or 1, or name the matrix fov"),
        ({"sim": np.zeros((6, 6))}, "0 queries with an answer"),
    ],
)
def test_bad_judgments_are_one_line(matrix, said, stage_module, tmp_path, monkeypatch):
    for side in ("query", "map"):
        write_images(tmp_path, side, "abcdef")
    np.savez(tmp_path / "relevance.npz", **matrix)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=said):
        run_stage_here("judged", read_params(**{"judged.source": str(tmp_path)}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"jimenez_szabo.trainings": ["orb0-sim-0"]}, "TWIN-TARGET-SEED"),
        ({"jimenez_szabo.trainings": ["conv-sym-0"]}, "TWIN-TARGET-SEED"),
        ({"judged.fractions": [0.5, 0.4, 0.3]}, "must be above 0 and add up to 1"),
        ({"jimenez_szabo.trainings": ["orb11-sim-0"]}, "judged.key_points = 10"),
    ],
)
def test_bad_params_are_one_line(changes, said):
    with pytest.raises(ParamsError, match=said):
        read_params(**changes)
