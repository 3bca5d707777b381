"""Mtasher & Msad's study, its stages one after another in this process, on a few striped images."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.pipeline.clones import write_striped_images
from tests.unit.pipelines.stages import run_stage_here, workspace
from twinfolio.errors import ParamsError
from twinfolio.params.file import parse_params, patched

CLASSICAL = ["bow_rootsift_matched", "bow_orb", "dhash"]
TINY = {
    "split.unknown_classes": 0,
    "augment.store.size": 96,
    "augment.max_copies": 0,
    "classify.epochs": 1,
    "classify.augmentation.crop": 64,
    "classical": {"systems": CLASSICAL, "bow_words": [16], "bow_distances": ["cosine"], "weights": [0.1], "workers": 1},
    "mtasher_msad.originals": 6,
    "evaluate.bootstrap": 100,
}
STAGES = ("split", "augment", "classify", "classical", "mtasher")


def read_params(**changes):
    shared = Path(__file__).resolve().parents[2] / "pipeline" / "params.yaml"
    return parse_params(patched(yaml.safe_load(shared.read_text()), TINY | changes), source="params.yaml")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The workspace after all of its stages; test is moved away until the last one."""
    with workspace(tmp_path_factory.mktemp("mtasher")) as root:
        write_striped_images(root / "data")
        for name in STAGES:
            run_stage_here(name, read_params())
            if name == "augment":
                (root / "outputs/store/test").rename(root / "test")
        (root / "test").rename(root / "outputs/store/test")
        run_stage_here("mtasher_test", read_params())
        yield root


def test_validation_hands_on_a_threshold_for_every_system_and_the_best_classical_ones(here):
    choices = json.loads((here / "outputs/mtasher/choices.json").read_text())
    assert set(choices["thresholds"]) == {"cnn_frozen", "cnn_finetuned", *CLASSICAL, "colour_histogram"}
    assert {choices["best_retrieval"], choices["best_planted"]} <= set(CLASSICAL)


def test_every_system_is_scored_on_test_and_test_is_counted_once(here):
    reports = here / "reports/mtasher_test"
    systems = pd.read_csv(reports / "systems.csv").set_index("system")
    assert list(systems.index) == ["cnn_frozen", "cnn_finetuned", *CLASSICAL, "colour_histogram"]
    choices = json.loads((here / "outputs/mtasher/choices.json").read_text())
    for name, chosen in choices["thresholds"].items():
        assert systems.loc[name, "planted_threshold"] == pytest.approx(chosen["planted"], abs=1e-6)
    assert not systems.loc["cnn_finetuned", "pretrained"]
    assert len((here / "reports/test_uses.csv").read_text().splitlines()) == 2


def test_costs_are_of_every_system_and_matching_keeps_its_key_points(here):
    costs = pd.read_csv(here / "reports/mtasher_test/times.csv").set_index("system")
    assert costs.loc["dhash", "bytes an image"] == 64 * 4
    # 16 words, one for images without key points, and 200 key points of place and descriptor
    assert costs.loc["bow_rootsift_matched", "bytes an image"] == 4 * (17 + 200 * (2 + 128))
    assert (costs[["extraction, ms an image", "query, ms"]] > 0).all(axis=None)


def test_a_study_without_classical_systems_is_one_line(stage_module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"classical\.systems = \[\]"):
        run_stage_here("mtasher", read_params(classical={"systems": []}))
