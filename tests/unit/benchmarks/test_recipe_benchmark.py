"""The benchmark of the default recipe on made-up reports: what a row says, and when the champion holds."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.unit.benchmarks.scripts import benchmark
from twinfolio.params import Params
from twinfolio.params.file import write_params

recipe, folders = benchmark("recipe"), benchmark("_folders")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pd.DataFrame):
        content.to_csv(path, index=False)
    else:
        path.write_text(json.dumps(content))


@pytest.fixture
def workspace(tmp_path):
    params = Params()
    write_params(params, tmp_path / "params.yaml")
    n, draws = 30, np.random.default_rng(0)
    table = {"query": [f"q{i}" for i in range(n)], "label": "a", "group": [f"g{i // 2}" for i in range(n)]}
    for name, height in (("l1", 0.8), ("classifier", 0.3), ("l1+vlad", 0.9)):
        table[f"AP_{name}"] = np.clip(draws.normal(height, 0.05, n), 0, 1)
        table[f"P@1_{name}"] = (table[f"AP_{name}"] > 0.5).astype(int)
    table |= {"AP": table["AP_l1"], "P@1": table["P@1_l1"]}
    for stage, split in (("compare_distances", "val"), ("evaluate", "test")):
        write(tmp_path / f"reports/{stage}/per_query.csv", pd.DataFrame(table))
        values = {f"{split}/retrieval/{key}{end}": 0.8 for key in ("mAP", "P@1") for end in ("", "_low", "_high")}
        write(tmp_path / f"reports/{stage}/metrics.json", values)
    write(tmp_path / "outputs/compare_distances/champion.json", {"distance": "l1"})
    write(tmp_path / "outputs/store/store.json", {"counts": {"train": {"rows": 100}}, "data_hash": "d"})
    labels = ["a"] * 4 + ["b"] * 2 + ["c"]
    manifest = pd.DataFrame({"label": [*labels, "a"], "split": ["train"] * 7 + ["val"]})
    write(tmp_path / "outputs/split/manifest.csv", manifest)
    for stage in recipe.TRAININGS:
        write(tmp_path / f"reports/{stage}/timing.json", {"wall_s": 90})
        write(tmp_path / f"reports/{stage}/metrics.json", {"epochs_run": 3, "best_epoch": 2})
    write(tmp_path / "reports/classify/timing.json", {"wall_s": 60, "steps": 77, "stopped": "cap"})
    return tmp_path


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_row_has_counts_champion_leads_and_trainings(workspace, split):
    row = recipe.read_result(workspace, split)
    assert (row["images"], row["classes"], row["train_a_class"]) == (8, 3, 2)
    assert (row["queries"], row["groups"], row["champion"]) == (30, 15, "l1")
    assert set(row["lead"]) == {"classifier", "l1+vlad"}
    difference, low, high = row["lead"]["classifier"]["mAP"]
    assert 0.4 < low < difference < high < 0.6
    assert row["trainings"]["classify"] == {
        "minutes": 1.0, "steps": 77, "epochs": 3, "best_epoch": 2, "ended": "cap"}  # fmt: skip
    twin = row["trainings"]["train_siamese/l2"]
    assert (twin["minutes"], twin["ended"]) == (1.5, "no gain")
    assert twin["steps"] == 3 * 2, "100 rows make two batches of 16 x 4"


def made(**differences):
    lead = {name: {"mAP": values, "P@1": [0.0, 0.0, 0.0]} for name, values in differences.items()}
    return {"minutes": 20, "groups": 100, "lead": lead}


def test_the_champion_holds_where_it_is_hardly_behind_and_only_by_chance():
    assert recipe.holds(made(l2=[-0.009, -0.02, 0.001], classifier=[0.1, 0.05, 0.2]))
    assert not recipe.holds(made(l2=[-0.011, -0.03, 0.01])), "too far behind"
    assert not recipe.holds(made(l2=[-0.005, -0.008, -0.001])), "behind beyond chance"
    assert not recipe.holds(made(l2=[0.1, 0.0, 0.2]) | {"minutes": 31})
    assert recipe.leads_all(made(l2=[0.1, 0.05, 0.2], frozen_trunk=[0.2, 0.1, 0.3]))
    assert not recipe.leads_all(made(l2=[0.1, 0.0, 0.2]))


def test_only_single_systems_are_rivals_and_the_nearest_is_named():
    row = made(l2=[0.1, 0.05, 0.2], classifier=[0.02, 0.01, 0.03]) | {"champion": "l1"}
    row["lead"]["l2+vlad_rootsift"] = {"mAP": [-0.5, -0.6, -0.4], "P@1": [-0.5, -0.6, -0.4]}
    assert recipe.worst(row, "mAP")[0] == "classifier"
    assert recipe.holds(row)


def test_nothing_but_seed_and_pages_differs_from_the_defaults():
    known = folders.FOLDERS
    assert recipe.settings(known["faces40"], 0) == []
    assert recipe.settings(known["medieval"], 2)[0] == r"split.group_pattern=p\d+"
    assert "siamese.seed=2" in recipe.settings(known["medieval"], 2)


def test_a_row_is_found_again_until_code_params_split_or_seed_change():
    folder = folders.FOLDERS["faces40"]
    key = recipe.row_key(folder, 0, "val")
    assert key == recipe.row_key(folder, 0, "val")
    for other in (recipe.row_key(folder, 1, "val"), recipe.row_key(folder, 0, "test")):
        assert other != key


def test_the_page_shows_each_row_with_its_differences_and_trainings(workspace):
    row = recipe.read_result(workspace, "val")
    row |= {"folder": "faces40", "seed": 0, "split": "val", "minutes": 12.0, "commit": "abc"}
    other = row | {"seed": 1, "lead": {"classifier": row["lead"]["classifier"]}}
    text = recipe.page([row, other])
    assert "## Validation" in text
    assert "## Test" not in text
    assert "77 steps, best epoch 2 of 3 (cap), 1.0 min" in text
    assert "holds against every single system on 2 of 2" in text
    assert "nan" not in text
