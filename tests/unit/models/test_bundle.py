from __future__ import annotations

import json
import socket

import numpy as np
import pytest
import torch

from twinfolio.errors import ModelError
from twinfolio.models.bundle import CONFIG_FILE, WEIGHTS_FILE, fingerprint, load_model, save_model
from twinfolio.models.embedder import build_class_layer, build_classifier, build_siamese
from twinfolio.models.heads import HEADS


def images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 48, 48, 3), dtype=np.uint8)


def as_float(batch: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255


def siamese(head: str = "distance", trunk: str = "khayyat_scratch", weights: str = "none", **changes):
    settings = {"weights": weights, "head": head, "distance": "l1", "embedding": 8, **changes}
    embedder, built = build_siamese(trunk, **settings)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter += torch.randn(parameter.shape)
    return embedder.eval(), built.eval(), build_class_layer(embedder, 4).eval()


def save(folder, embedder, head, layer, **config):
    save_model(folder, embedder=embedder, head=head, class_layer=layer, config={"kind": "siamese", **config})


@pytest.mark.parametrize("head", HEADS)
def test_a_loaded_model_gives_the_saved_models_outputs(tmp_path, head):
    embedder, built, layer = siamese(head)
    save(tmp_path / "model", embedder, built, layer, classes=["a", "b", "c", "ض"])
    model = load_model(tmp_path / "model")
    with torch.no_grad():
        z = embedder(as_float(images()))
        expected = z.numpy(), built.pairwise(z, z).numpy(), built.paired(z, z).numpy(), layer(z).numpy()
    embeddings = model.embed_uint8(images())
    np.testing.assert_array_equal(embeddings, expected[0])
    # a matrix product's last bit depends on how its operands lie in memory
    np.testing.assert_allclose(model.scores(embeddings, embeddings), expected[1], rtol=1e-5)
    np.testing.assert_allclose(model.paired_scores(embeddings, embeddings), expected[2], rtol=1e-5)
    np.testing.assert_array_equal(model.class_logits(images()), expected[3])
    assert model.config["classes"] == ["a", "b", "c", "ض"]
    assert embeddings.dtype == np.float32


def test_a_pretrained_trunk_loads_without_network_and_keeps_its_facts(tmp_path, monkeypatch):
    embedder, head, layer = siamese(trunk="tf_efficientnet_lite0", weights="imagenet")
    save(tmp_path, embedder, head, layer)

    def no_network(*_args, **_kwargs):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    model = load_model(tmp_path)
    with torch.no_grad():
        np.testing.assert_array_equal(model.embed_uint8(images()), embedder(as_float(images())).numpy())
    assert model.embedder.info == embedder.info
    assert model.config["pretrained"] is True


def test_the_scratch_net_keeps_its_size_and_sigmoid(tmp_path):
    embedder, head, _ = siamese("weighted", pooling="flatten", normalise=False, size=(150, 100), activation="sigmoid")
    save(tmp_path, embedder, head, None)
    model = load_model(tmp_path)
    assert (model.embedder.size, model.embedder.activation, model.class_layer) == ((150, 100), "sigmoid", None)


def test_a_classifier_has_no_head_and_says_so(tmp_path):
    embedder, layer = build_classifier("khayyat_scratch", weights="none", classes=4)
    save(tmp_path, embedder, None, layer)
    model = load_model(tmp_path)
    assert model.class_logits(images()).shape == (3, 4)
    with pytest.raises(ModelError, match="has no head"):
        model.scores(np.zeros((1, 64), np.float32), np.zeros((1, 64), np.float32))


def test_a_trunk_starts_from_a_model_folders_weights(tmp_path):
    embedder, head, layer = siamese()
    save(tmp_path, embedder, head, layer)
    other, _, _ = siamese(weights=str(tmp_path / WEIGHTS_FILE))
    assert torch.equal(other.trunk.features[0].weight, embedder.trunk.features[0].weight)


def test_the_same_model_gives_the_same_bytes_and_fingerprint_and_another_does_not(tmp_path):
    embedder, head, layer = siamese()
    for name in ("a", "b"):
        save(tmp_path / name, embedder, head, layer)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    save(tmp_path / "b", embedder, head, layer, threshold=0.5)
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")
    text = (tmp_path / "b" / CONFIG_FILE).read_text(encoding="utf-8")
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert {path.name for path in (tmp_path / "b").iterdir()} == {WEIGHTS_FILE, CONFIG_FILE}


def test_scores_in_blocks_are_the_scores(tmp_path, monkeypatch):
    embedder, head, layer = siamese("fusion")
    save(tmp_path, embedder, head, layer)
    model = load_model(tmp_path)
    x, y = np.random.default_rng(1).random((9, 8), np.float32), np.random.default_rng(2).random((5, 8), np.float32)
    whole = model.scores(x, y)
    monkeypatch.setattr("twinfolio.models.bundle.SCORE_ROWS", 4)
    np.testing.assert_allclose(model.scores(x, y), whole, rtol=1e-5, atol=1e-5)


def test_broken_folders_get_one_line(tmp_path):
    with pytest.raises(ModelError, match="no model here"):
        load_model(tmp_path)
    embedder, head, layer = siamese()
    save(tmp_path, embedder, head, layer)
    weights = tmp_path / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"model.safetensors: ") as raised:
        load_model(tmp_path)
    assert "\n" not in str(raised.value)
    (tmp_path / CONFIG_FILE).write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        load_model(tmp_path)
