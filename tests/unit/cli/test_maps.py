from types import SimpleNamespace

import numpy as np
import pytest

from twinfolio.cli.maps import explainer
from twinfolio.serving.loading import load_program
from twinfolio.serving.reading import read_rows


@pytest.fixture
def program(workspace):
    return load_program(workspace / "outputs/evaluate/model")


def rows(workspace, *names):
    program = load_program(workspace / "outputs/evaluate/model")
    return np.concatenate([read_rows(workspace / "data" / name, program.rendering) for name in names])


def test_the_legend_tells_the_mean_over_all_pairs_of_tiles(workspace, program):
    query, answer = rows(workspace, "ba/p0.png", "ta/p0.png"), rows(workspace, "ba/p1.png", "alif/p0.png", "ta/p1.png")
    maps = explainer(program)(query, answer)
    mean = np.mean([program.split.total(*program.match_maps(x, y)) for x in query for y in answer])
    assert f"{program.split.measure}, {mean:.3f}." in maps.legend
    assert maps.query.shape == (32, 2 * 32, 3)
    assert maps.answer.shape == (32, 3 * 32, 3)


def test_a_model_without_places_has_no_maps(workspace, program, monkeypatch):
    monkeypatch.setattr(type(program), "embed_places", lambda self, rows: None)
    assert explainer(program)(rows(workspace, "ba/p0.png"), rows(workspace, "ba/p1.png")) is None


def test_the_query_is_embedded_once_for_all_its_answers(workspace, program, monkeypatch):
    asked, whole = [], type(program).embed_places
    monkeypatch.setattr(type(program), "embed_places", lambda self, rows: asked.append(1) or whole(self, rows))
    explain, query = explainer(program), rows(workspace, "ba/p0.png")
    for page in range(1, 4):
        explain(query, rows(workspace, f"ba/p{page}.png"))
    assert len(asked) == 4


def test_the_page_shows_where_each_match_comes_from(run, here):
    run("query", "data/ba/p0.png", "-k", 3, "--html", "page.html")
    assert (here / "page.html").read_text().count("Where the match comes from") == 3


def test_a_head_that_does_not_split_is_explained_by_its_gradient(tmp_path):
    import torch

    from twinfolio.assessment.attribution import GRADCAM, attribution_maps
    from twinfolio.models.bundle import load_model, save_model
    from twinfolio.models.embedder import build_siamese
    from twinfolio.reporting.overlays import overlay, shared_limit

    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedder, head = build_siamese("test_efficientnet", weights="none", head="fusion", distance="l1", embedding=6)
    save_model(tmp_path, embedder=embedder.eval(), head=head.eval(), class_layer=None, config={"kind": "siamese"})
    model = load_model(tmp_path)
    fusion = SimpleNamespace(split=None, folder=tmp_path)
    query, answer = np.random.default_rng(0).integers(0, 255, (2, 2, 32, 32, 3), dtype=np.uint8)
    maps = explainer(fusion)(query, answer)
    assert "Grad-CAM" in maps.legend
    scores = model.scores(model.embed_uint8(query), model.embed_uint8(answer))
    x, y = np.unravel_index(scores.argmax(), scores.shape)
    expected = attribution_maps(model, GRADCAM, query[x], answer[y])
    np.testing.assert_array_equal(maps.query, overlay(query[x], expected[0], shared_limit(*expected)))
    np.testing.assert_array_equal(maps.answer, overlay(answer[y], expected[1], shared_limit(*expected)))
