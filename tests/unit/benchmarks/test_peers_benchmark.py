"""The benchmark of peers: how what a side hands back is scored, and how sides are compared."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.unit.benchmarks.scripts import benchmark
from twinfolio.data.array_store import write_array_store

peers = benchmark("peers")
CLASSES, EACH = 3, {"train": 4, "val": 2, "test": 2}


@pytest.fixture
def store(tmp_path):
    parts = {}
    for split, each in EACH.items():
        labels = np.repeat(np.arange(CLASSES), each)
        parts[split] = (np.zeros((len(labels), 8, 8, 3), np.uint8), labels)
    write_array_store(tmp_path / "store", parts, list("abc"))
    return tmp_path / "store"


def handed_back(path, **others):
    """Two candidates: one that knows the classes and one that draws; and logits that know them."""
    draws, arrays = np.random.default_rng(0), {}
    for split, each in EACH.items():
        right = np.eye(CLASSES, dtype=np.float32)[np.repeat(np.arange(CLASSES), each)]
        arrays |= {f"l1/{split}": right, f"l2/{split}": draws.random(right.shape).astype(np.float32)}
        arrays["test_logits"] = 5 * right
    facts = {"candidates": {"l2": "l2", "l1": "l1"}, "images": 640, "cpu_seconds": 60.0, **others}
    np.savez(path, facts=np.array(json.dumps(facts)), **arrays)
    return path


def test_validation_picks_the_candidate_and_test_is_scored(tmp_path, store):
    facts, values, queries = peers.score(handed_back(tmp_path / "out.npz"), store)
    assert facts == {"images": 640, "cpu_seconds": 60.0}
    assert values["chosen"] == "l1"
    assert values["mAP"] == values["val_mAP"] == [1, 1, 1]
    assert values["accuracy"] == 1
    assert values["test_mAP_of_each"]["l2"] < 1
    assert queries["AP"].tolist() == [1] * 6


def test_what_is_not_a_candidate_is_only_reported(tmp_path, store):
    handed = handed_back(tmp_path / "out.npz", candidates={"l2": "l2"}, others={"l1": "cosine"})
    _, values, _ = peers.score(handed, store)
    assert values["chosen"] == "l2"
    assert values["test_mAP_of_each"]["l1"] == 1


def test_seeds_are_averaged_before_sides_are_paired_with_the_best_peer():
    def table(*values):
        return pd.DataFrame({"query": list("abcd"), "group": list("xxyy"), "AP": values, "P@1": values})

    ours = peers.mean_of_seeds([table(1, 1, 0.8, 0.8), table(0.8, 0.8, 1, 1)])
    assert ours["AP"].tolist() == pytest.approx([0.9] * 4)
    best, found = peers.against_best({"ours": ours, "pml": table(0, 0, 0, 0), "timm": table(0.7, 0.7, 0.9, 0.9)})
    assert best == "timm"
    assert found["mAP"] == pytest.approx([0.1, 0.0, 0.2])


def test_a_row_of_a_peer_does_not_depend_on_our_code_or_params(tmp_path, monkeypatch):
    key, ours = peers.row_key("pml", "objects50", 3.0, 0), peers.row_key("ours", "objects50", 3.0, 0)
    assert key != peers.row_key("pml", "objects50", 10.0, 0)
    monkeypatch.setattr(peers, "source_hash", lambda root: "changed")
    assert peers.row_key("pml", "objects50", 3.0, 0) == key
    assert peers.row_key("ours", "objects50", 3.0, 0) != ours
    assert peers.queries_file(key).name != peers.queries_file(ours).name


def test_two_sides_live_in_environments_of_their_own():
    assert {name for name, side in peers.SIDES.items() if side.packages} == {"pml", "oml"}
    assert str(peers.python_of("timm")) == str(peers.python_of("ours"))


def test_the_headline_has_our_value_and_the_difference_of_each_set_and_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "QUERIES", tmp_path)
    recorded = []
    monkeypatch.setattr(peers, "finish", lambda *values: recorded.append(values))
    rows = []
    for side, height in ((peers.OURS, 0.9), ("pml", 0.6), ("timm", 0.7)):
        key = peers.row_key(side, "medieval", 3.0, 0)
        table = pd.DataFrame({"query": list("abcd"), "group": list("xxyy"), "AP": height, "P@1": 1.0})
        table.to_csv(peers.queries_file(key), index=False)
        values = {"mAP": [height] * 3, "P@1": [1.0] * 3, "chosen": "model", "images": 9, "cpu_seconds": 180.0}
        rows.append(key | values)
    peers.conclude(rows)
    name, value, _, bar, met, sides = recorded[0]
    assert (name, bar) == ("peers", peers.BAR)
    assert value == pytest.approx(0.2)
    assert sides["medieval_3min_best_peer"] == "timm"
    assert sides["medieval_3min_mAP"] == pytest.approx(0.9)
    assert sides["medieval_3min_mAP_difference"] == pytest.approx([0.2] * 3)
    assert not met, "other sets and budgets are missing"


def test_our_training_ends_while_its_last_validations_can_be_paid_for(monkeypatch):
    ours = benchmark("_peer_ours")
    now = [5.0]
    monkeypatch.setattr(ours.time, "process_time", lambda: now[0])
    watch = ours.Watch(20.0, validated=5, size=8, channels=3)
    trainer = SimpleNamespace(should_stop=False)
    watch.on_fit_start(trainer, None)
    watch.on_validation_start(trainer, None)
    now[0] += 2
    watch.on_validation_end(trainer, None)
    while not trainer.should_stop:
        now[0] += 1
        watch.on_train_batch_end(trainer, None, None, {"labels": range(4)})
    assert watch.elapsed == 20 - 2 * ours.VALIDATIONS
    assert (watch.images, watch.steps) == (40, 10)
