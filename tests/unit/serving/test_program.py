import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from twinfolio.data.store_plan import Rendering
from twinfolio.models.bundle import load_model, save_model
from twinfolio.models.embedder import build_siamese
from twinfolio.models.onnx_export import export_embedder
from twinfolio.serving import program as program_module
from twinfolio.serving.loading import load_program

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


@pytest.fixture(scope="module")
def cosine(tmp_path_factory):
    return program_of(tmp_path_factory.mktemp("cosine"))


def test_each_match_map_sums_to_the_cosine(cosine, rows):
    program, model = cosine
    x, y = model.embed_uint8(rows)
    maps = program.match_maps(*rows)
    assert [part.shape for part in maps] == [(2, 2), (2, 2)]
    assert [float(part.sum()) for part in maps] == pytest.approx([float(x @ y)] * 2, abs=1e-5)
    assert program.split.measure == "the cosine"


def test_match_maps_of_a_weighted_head_sum_to_its_weighted_overlap(tmp_path, rows):
    program, model = program_of(tmp_path, head="weighted", distance="l1")
    x, y = model.embed_uint8(rows)
    overlap = np.where(x * y > 0, np.minimum(np.abs(x), np.abs(y)), 0)
    expected = float(overlap @ -model.head.weight.detach().numpy())
    assert expected > 0.1
    assert [float(part.sum()) for part in program.match_maps(*rows)] == pytest.approx([expected] * 2, abs=1e-5)


def test_a_fusion_head_has_places_but_no_match_maps(cosine, rows):
    program = cosine[0]
    fusion = replace(program, config={**program.config, "head": "fusion"})
    assert fusion.match_maps(*rows) is None
    assert fusion.embed_places(rows).shape == (2, 6, 2, 2)


def test_another_pooling_has_neither(tmp_path, rows):
    program, model = program_of(tmp_path, pooling="avgmax")
    assert program.embed_places(rows) is None
    assert program.match_maps(*rows) is None
    np.testing.assert_allclose(program.embed(rows), model.embed_uint8(rows), rtol=1e-4, atol=1e-5)


def test_embeddings_do_not_pay_for_places(cosine, rows, monkeypatch):
    program, _ = cosine
    asked = []
    session = program._session

    class Watched:
        def run(self, outputs, feed, options):
            asked.append((outputs, options.only_execute_path_to_fetches))
            return session.run(outputs, feed, options)

    monkeypatch.setitem(program.__dict__, "_session", Watched())
    program.embed(rows)
    assert asked == [(["embeddings"], True)]


def test_scorers_read_the_heads_file_once(cosine, monkeypatch):
    program, read, reads = cosine[0], program_module.read_part, []
    monkeypatch.setattr(program_module, "read_part", lambda folder, part: reads.append(part) or read(folder, part))
    program = load_program(program.folder)
    shown = np.eye(4, dtype=np.float32)
    for _ in range(3):
        program.pairwise(shown, shown)
    assert reads == ["head"]
