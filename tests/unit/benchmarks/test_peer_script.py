"""What the peers' scripts share: budgets, the store as plain files, and what is handed back."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.benchmarks.scripts import ROOT, benchmark
from twinfolio.data.array_store import write_array_store
from twinfolio.data.store import Store

peer = benchmark("_peer")


@pytest.fixture
def store(tmp_path):
    draws = np.random.default_rng(0)
    parts = {
        split: (draws.integers(0, 255, (4, 8, 8, 3)).astype(np.uint8), np.array([0, 0, 1, 1])) for split in peer.SPLITS
    }
    write_array_store(tmp_path / "store", parts, ["a", "b"])
    return tmp_path / "store"


def test_originals_alone_are_read(store):
    index = store / "train" / "index.csv"
    table = Store.open(store / "train").index
    table.loc[1, "copy"] = 1
    table.to_csv(index, index=False)
    rows = peer.Rows(store, "train")
    assert len(rows) == 3
    assert rows.labels.tolist() == [0, 1, 1]
    image, label = rows[1]
    np.testing.assert_allclose(image.permute(1, 2, 0) * 255, Store.open(store / "train").images[2], atol=1e-4)
    assert label == 1
    assert len(rows.keep(np.array([True, False, True]))) == 2


def test_a_budget_ends_in_the_middle_of_an_epoch_and_counts_its_images(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(peer.time, "process_time", lambda: now[0])
    budget = peer.Budget(2.5)
    for _ in budget.batches(lambda: iter([[torch.zeros(4)], [torch.zeros(4)]])):
        now[0] += 1
    assert budget.images == 12, "three batches of two an epoch"
    assert budget.share == 1


def test_an_epoch_without_a_batch_is_an_error():
    with pytest.raises(RuntimeError, match="without a batch"):
        list(peer.Budget(1.0).batches(lambda: iter([])))


def test_embeddings_are_on_the_unit_sphere_and_logits_there_where_a_layer_is(tmp_path, store):
    model, layer = nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), nn.Linear(5, 2)
    task = peer.Task(store, 1.0, 0, False, tmp_path / "out.npz")
    peer.hand_back(task, peer.Budget(1.0), model, layer)
    with np.load(task.out, allow_pickle=False) as file:
        for split in peer.SPLITS:
            np.testing.assert_allclose(np.linalg.norm(file[f"model/{split}"], axis=1), 1, rtol=1e-5)
        assert file["test_logits"].shape == (4, 2)


@pytest.mark.parametrize("name", ["_peer", "_peer_pml", "_peer_oml", "_peer_timm"])
def test_the_scripts_know_nothing_of_this_package(name):
    assert "import twinfolio" not in (text := (ROOT / "benchmarks" / f"{name}.py").read_text())
    assert "from twinfolio" not in text
