import numpy as np
import onnxruntime
import pytest
import torch

from twinfolio.errors import ModelError
from twinfolio.models import onnx_export
from twinfolio.models.bundle import load_model, save_model
from twinfolio.models.embedder import build_siamese
from twinfolio.models.onnx_export import export_embedder


def model_of(folder, **changes):
    settings = {"head": "distance", "distance": "cosine", "pooling": "avg", "embedding": 6, **changes}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedder, head = build_siamese("khayyat_scratch", weights="none", **settings)
        if settings["embedding"] is not None:
            torch.nn.init.normal_(embedder.projection.bias)
    save_model(folder, embedder=embedder, head=head, class_layer=None, config={})
    return load_model(folder)


def outputs(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session, [output.name for output in session.get_outputs()]


@pytest.mark.parametrize(("embedding", "normalise"), [(6, True), (None, False)])
def test_places_are_torchs_and_average_to_the_embedding(tmp_path, embedding, normalise):
    model = model_of(tmp_path, embedding=embedding, normalise=normalise)
    pictures = np.random.default_rng(2).integers(0, 255, (2, 64, 80, 3), dtype=np.uint8)
    before = model.embed_uint8(pictures)
    session, names = outputs(export_embedder(model, tmp_path, (64, 80)))
    np.testing.assert_array_equal(model.embed_uint8(pictures), before)  # the model is as it was
    assert names == ["embeddings", "places"]
    images = np.random.default_rng(1).random((3, 3, 64, 80), dtype=np.float32)
    embeddings, places = session.run(None, {"images": images})
    features = model.embedder.features(torch.from_numpy(images))
    slow = np.stack([model.embedder.projection(features[:, :, i, j]) for i in range(2) for j in range(3)], axis=-1)
    np.testing.assert_allclose(places.reshape(3, -1, 6), slow, rtol=1e-4, atol=1e-5)
    mean = places.mean((2, 3))
    np.testing.assert_allclose(
        mean / np.linalg.norm(mean, axis=1, keepdims=True) if normalise else mean, embeddings, rtol=1e-4, atol=1e-5
    )


def test_the_projection_lies_in_the_file_once(tmp_path):
    import onnx

    model = model_of(tmp_path, embedding=48)
    program = onnx.load(export_embedder(model, tmp_path, (64, 64)))
    sizes = [int(np.prod(tensor.dims)) for tensor in program.graph.initializer]
    assert sizes.count(model.embedder.projection.weight.numel()) == 1


def test_a_flattened_map_behind_a_sigmoid_has_no_places(tmp_path):
    model = model_of(tmp_path, pooling="flatten", size=(64, 64), activation="sigmoid")
    assert outputs(export_embedder(model, tmp_path, (64, 64)))[1] == ["embeddings"]
    with pytest.raises(ModelError, match="does not split into places"):
        model.embedder.places(torch.zeros(1, 64, 2, 2))


def test_a_program_whose_places_are_not_torchs_is_not_kept(tmp_path, monkeypatch):
    model = model_of(tmp_path)
    right = type(model.embedder).places
    calls = []

    def changed_after_export(embedder, features):
        calls.append(features)
        return right(embedder, features) * (1.0 if torch.compiler.is_exporting() else 1.001)

    monkeypatch.setattr(type(model.embedder), "places", changed_after_export)
    with pytest.raises(ModelError, match="places differ from torch's"):
        export_embedder(model, tmp_path, (64, 64))
    assert calls
    assert not (tmp_path / onnx_export.PROGRAM).exists()
