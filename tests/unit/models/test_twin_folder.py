import pytest
import torch

from twinfolio.errors import ModelError
from twinfolio.models.bundle import save_model
from twinfolio.models.embedder import build_classifier, build_siamese
from twinfolio.models.orb_siamese import OrbSiamese
from twinfolio.models.twin import ConvTwin
from twinfolio.models.twin_folder import load_twin, save_twin

SMALL = {"weights": "none", "options": {"depth": 1, "kernels": 4}}
TWINS = {
    "orb": (lambda: OrbSiamese(3), (1, 3, 256)),
    "conv": (
        lambda: ConvTwin(*build_siamese("lu_conv", head="distance", distance="cosine", embedding=8, **SMALL)),
        (3, 16, 16),
    ),
}


@pytest.mark.parametrize("kind", TWINS)
def test_a_twin_that_was_kept_says_what_it_said(kind, tmp_path):
    build, shape = TWINS[kind]
    twin = build().eval()
    save_twin(tmp_path / "model", twin)
    again = load_twin(tmp_path / "model")
    x, y = torch.rand(4, *shape), torch.rand(4, *shape)
    with torch.inference_mode():
        expected = twin.pairwise(twin.embed(x), twin.embed(y))
        torch.testing.assert_close(again.pairwise(again.embed(x), again.embed(y)), expected)
    assert not again.training
    assert type(again) is type(twin)


def test_a_folder_without_a_twin_is_one_line(tmp_path):
    with pytest.raises(ModelError, match="no model here"):
        load_twin(tmp_path)
    embedder, layer = build_classifier("lu_conv", classes=2, **SMALL)
    save_model(tmp_path, embedder=embedder, head=None, class_layer=layer, config={"kind": "classifier"})
    with pytest.raises(ModelError, match="a classifier has no head"):
        load_twin(tmp_path)


def test_cut_weights_are_one_line(tmp_path):
    save_twin(tmp_path, OrbSiamese(2))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ModelError, match=r"model\.safetensors: .*run the stage that writes this folder again"):
        load_twin(tmp_path)
