import numpy as np
import pytest

from twinfolio.cli.maps import explainer
from twinfolio.serving.program import load_program
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
    program = load_program(program.folder)
    program.config["head"] = "fusion"
    assert explainer(program) is None


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
