import json

import numpy as np
import pytest
import torch

from twinfolio.data.store_plan import Rendering
from twinfolio.models.bundle import load_model, save_model
from twinfolio.models.embedder import build_siamese
from twinfolio.models.onnx_export import export_embedder
from twinfolio.serving.program import load_program

SIZE = 64


def program_of(folder, **changes):
    settings = {"head": "distance", "distance": "cosine", "pooling": "avg", "embedding": 6, **changes}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedder, head = build_siamese("khayyat_scratch", weights="none", **settings)
    save_model(folder, embedder=embedder, head=head, class_layer=None, config={})
    model = load_model(folder)
    export_embedder(model, folder, (SIZE, SIZE))
    rendering = Rendering(size=SIZE, fit="pad", channels=3, tiles=1, tile_above=3.0)
    (folder / "rendering.json").write_text(json.dumps(vars(rendering)))
    (folder / "classes.json").write_text("[]")
    return load_program(folder), model


@pytest.fixture
def rows():
    return np.random.default_rng(1).integers(0, 255, (2, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize(("head", "distance"), [("distance", "cosine"), ("distance", "l1"), ("weighted", "l2")])
def test_match_maps_sum_to_the_score_of_the_pair(tmp_path, rows, head, distance):
    program, model = program_of(tmp_path, head=head, distance=distance)
    maps = program.match_maps(*rows)
    assert [part.shape for part in maps] == [(2, 2), (2, 2)]
    x = model.embed_uint8(rows)
    logit = float(model.paired_scores(x[:1], x[1:])[0])
    gain = float(model.head.log_scale.exp()) * model.head.unit if head == "distance" else 1.0
    constant = float(model.head.offset) if head == "distance" else float(model.head.bias)
    expected = (logit - constant) / gain + (1 if distance == "cosine" else 0)
    assert program.split.total(*maps) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("changes", [{"head": "fusion"}, {"pooling": "avgmax"}])
def test_a_model_without_an_exact_split_has_no_match_maps(tmp_path, rows, changes):
    program, model = program_of(tmp_path, **changes)
    assert program.match_maps(*rows) is None
    assert (program.embed_places(rows) is None) == ("pooling" in changes)
    np.testing.assert_allclose(program.embed(rows), model.embed_uint8(rows), rtol=1e-4, atol=1e-5)


def test_embeddings_do_not_pay_for_places(tmp_path, rows, monkeypatch):
    program, _ = program_of(tmp_path)
    asked = []
    session = program._session

    class Watched:
        def run(self, outputs, feed, options):
            asked.append((outputs, options.only_execute_path_to_fetches))
            return session.run(outputs, feed, options)

    monkeypatch.setitem(program.__dict__, "_session", Watched())
    program.embed(rows)
    assert asked == [(["embeddings"], True)]
