"""The tool answers as evaluation ranks: under every recipe, whatever the query must not find."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.cli.conftest import write_calibration
from tests.unit.cli.test_query import tool
from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import ARRAYS, JSON, Recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.reciprocal import Reciprocal
from twinfolio.retrieval.views import Views
from twinfolio.retrieval.whitening import fit_whitening
from twinfolio.serving.loading import load_program
from twinfolio.serving.reading import read_rows

RECIPES = {
    "plain": lambda v: Recipe(),
    "views": lambda v: Recipe(views=Views(2, 0.6)),
    "whitening": lambda v: Recipe(whitening=fit_whitening(v, 3, 0.1)),
    "augmentation": lambda v: Recipe(augmentation=Expansion(3, 2.0)),
    "expansion": lambda v: Recipe(expansion=Expansion(3, 2.0)),
    "reciprocal": lambda v: Recipe(reciprocal=Reciprocal(3, 2, 0.3, 6)),
    "views and whitening": lambda v: Recipe(Views(1, 0.5), fit_whitening(v, 3, 0.1)),
    "augmentation and reciprocal": lambda v: Recipe(
        augmentation=Expansion(2, 1.0), reciprocal=Reciprocal(4, 2, 0.5, 7)
    ),
}
N = 16
QUERY = 5


class Pages:
    """A model folder under a recipe, over pages of which each third is cut into tiles, two of them a group."""

    def __init__(self, workspace, folder, name):
        self.folder, self.model = folder, folder / "model"
        shutil.copytree(workspace / "outputs/evaluate/model", self.model)
        self.paths = [self.paint(folder / "pages" / "abcd"[n % 4] / f"{n:02}.png", n) for n in range(N)]
        program = load_program(self.model)
        self.embed = program.embed
        self.rows = [read_rows(path, program.rendering) for path in self.paths]
        self.owner = np.repeat(np.arange(N), list(map(len, self.rows)))
        self.recipe = RECIPES[name](program.embed(np.concatenate(self.rows)))
        self.recipe.save(self.model)
        vectors = self.recipe.embed(program.embed, np.concatenate(self.rows))
        np.save(self.model / "embeddings.npy", vectors)
        self.write_gallery()
        self.gallery = PreparedGallery(self.recipe, vectors, self.owner, program.scorer)
        self.gallery.raw = vectors

    @staticmethod
    def paint(path, n):
        """Blocks of colour: the parts of a page are not alike."""
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = np.random.default_rng(n % 4 + 10).integers(0, 200, (3, 4, 3)) + np.random.default_rng(n).integers(
            0, 55, (3, 4, 3)
        )
        size = (200, 130) if n % 3 == 2 else (48, 36)
        Image.fromarray(blocks.astype(np.uint8)).resize(size, Image.Resampling.NEAREST).save(path)
        return path

    def write_gallery(self):
        lines = ["image_id,tile,label,group,content,path"]
        for image, tile in zip(self.owner, (t for rows in self.rows for t in range(len(rows))), strict=True):
            path = self.paths[image]
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            below = path.relative_to(self.folder / "pages").as_posix()
            lines.append(f"i{image:02},{tile},{path.parent.name},page {image // 2},{content},{below}")
        (self.model / "gallery.csv").write_text("\n".join(lines) + "\n")
        write_calibration(self.model)

    def expected(self, rows, barred):
        """Images, best first, and their scores as evaluation has them."""
        tiles = self.recipe.embed(self.embed, rows)
        scores = RecipeScores(self.gallery, tiles, np.zeros(len(tiles), np.int64), [np.array(barred, np.int64)])
        whole = scores(np.zeros(1, np.int64), np.arange(N))[0].astype(np.float64)
        order = [image for image in np.argsort(-whole, kind="stable") if image not in barred]
        return order, whole


@pytest.fixture(scope="module", params=RECIPES)
def pages(workspace, tmp_path_factory, request):
    return Pages(workspace, tmp_path_factory.mktemp("pages"), request.param)


def set_threshold(model, threshold):
    path = model / "calibration.json"
    values = json.loads(path.read_text())
    values["unknown"]["threshold"] = threshold
    path.write_text(json.dumps(values))


def make(workspace, folder, name):
    return Pages(workspace, folder, name)


def ask(run, pages, *options, k=N):
    status, output, errors = run("query", *options, "--model", pages.model, "--json", "-k", k)
    assert status == 0, errors
    return json.loads(output)


@pytest.mark.parametrize(
    ("options", "barred"),
    [((), [QUERY]), (("--keep-self",), []), (("--exclude-group",), [QUERY - 1, QUERY])],
    ids=["plain", "keep-self", "exclude-group"],
)
def test_the_tool_answers_as_evaluation_ranks(run, pages, options, barred):
    found = ask(run, pages, pages.paths[QUERY], *options)
    order, scores = pages.expected(pages.rows[QUERY], barred)
    assert len(pages.rows[QUERY]) > 1
    assert [one["image_id"] for one in found["answers"]] == [f"i{image:02}" for image in order]
    assert [one["score"] for one in found["answers"]] == pytest.approx(scores[order], abs=1e-5)


def test_the_verdict_never_counts_the_query_itself_whatever_is_shown(run, pages):
    left, kept = (ask(run, pages, pages.paths[QUERY], *options) for options in ((), ("--keep-self",)))
    assert (left["known"], left["classes"]) == (kept["known"], kept["classes"])
    _, scores = pages.expected(pages.rows[QUERY], [QUERY])
    scores[QUERY] = -np.inf
    best = {"abcd"[label]: 1 / (1 + np.exp(3 - 2 * scores[label::4].max())) for label in range(4)}
    wanted = {name: p for name, p in best.items() if p >= 0.4 or p == max(best.values())}
    assert {one["label"]: one["probability"] for one in left["classes"]} == pytest.approx(wanted, abs=2e-5)
    first = PreparedGallery(pages.recipe.first_pass, pages.gallery.raw, pages.owner, load_program(pages.model).scorer)
    tiles = pages.recipe.embed(pages.embed, pages.rows[QUERY])
    plain = RecipeScores(first, tiles, np.zeros(len(tiles), np.int64), [np.array([QUERY])])
    plain = plain(np.zeros(1, np.int64), np.delete(np.arange(N), QUERY))
    threshold = float(np.round(plain.max() - 1e-3, 6))  # re-ranked scores, below 1, do not reach it under this head
    set_threshold(pages.model, threshold)
    assert ask(run, pages, pages.paths[QUERY])["known"] is True
    set_threshold(pages.model, threshold + 2e-3)
    assert ask(run, pages, pages.paths[QUERY])["known"] is False
    set_threshold(pages.model, 1.5)


def test_an_image_that_no_index_holds_is_answered_alike(run, pages, here):
    new = pages.paint(here / "new.png", 101)
    order, scores = pages.expected(read_rows(new, load_program(pages.model).rendering), [])
    answers = ask(run, pages, new, k=3)["answers"]
    assert [one["image_id"] for one in answers] == [f"i{image:02}" for image in order[:3]]
    assert [one["score"] for one in answers] == pytest.approx(scores[order[:3]], abs=1e-5)


def test_an_approximate_index_follows_the_recipe_through_every_change(run, pages, here):
    def answers(*options):
        found = ask(run, pages, pages.paths[QUERY], *options, k=4)["answers"]
        return [Path(one["path"]).name for one in found], [one["score"] for one in found]

    folder = ("index", "build", pages.folder / "pages", "--model", pages.model, "--cache", here / "cache.sqlite")
    status, output, errors = run(*folder, "--backend", "hnsw", "--index", here / "fast")
    assert status == 0, errors
    assert "hnsw finds 1.000 of the 10 nearest" in output
    own = answers()
    assert answers("--index", here / "fast")[0] == own[0]
    assert answers("--index", here / "fast")[1] == pytest.approx(own[1], abs=2e-6)
    assert run(*folder, "--index", here / "exact")[0] == 0
    for index in ("fast", "exact"):
        assert run("index", "remove", f"pages/*/{own[0][0]}", "--index", here / index, "--model", pages.model)[0] == 0
    assert answers("--index", here / "fast") == answers("--index", here / "exact") != own


def test_the_class_layer_reads_plain_embeddings(run, workspace, tmp_path):
    viewed = make(workspace, tmp_path, "views")
    plain = run("classify", viewed.paths[QUERY], "--json")
    assert run("classify", viewed.paths[QUERY], "--json", "--model", viewed.model) == plain


def test_an_index_built_under_another_recipe_is_refused_by_one_line(run, here, workspace):
    pages = make(workspace, here / "w", "views")
    build = ("index", "build", pages.folder / "pages", "--model", pages.model)
    assert run(*build)[0] == 0
    prints = {load_program(pages.model).fingerprint}
    for other in (Views(2, 0.7), Views(1, 0.6), None):
        Recipe(views=other).save(pages.model)
        prints.add(load_program(pages.model).fingerprint)
        status, output, errors = run("query", pages.paths[0], "--index", "index", "--model", pages.model)
        assert (status, output, len(errors.splitlines())) == (2, "", 1)
        assert "this index was made by model" in errors
    assert len(prints) == 4
    # and embeddings of other views are not taken from the cache
    assert f"{N} embedded now" in run(*build)[1]
    (pages.model / JSON).unlink()
    status, _, errors = run("query", pages.paths[0], "--index", "index", "--model", pages.model)
    assert (status, JSON in errors) == (2, True)  # it is calibrated under a recipe that is gone
    (pages.model / "calibration.json").unlink()  # as in a folder that is older than recipes
    assert run("query", pages.paths[0], "--index", "index", "--model", pages.model)[0] == 0


def test_another_whitening_is_another_model(workspace, tmp_path):
    pages = make(workspace, tmp_path, "whitening")
    before = load_program(pages.model).fingerprint
    Recipe(whitening=fit_whitening(pages.gallery.own + np.float32(0.1), 3, 0.1)).save(pages.model)
    assert load_program(pages.model).fingerprint != before


@pytest.mark.parametrize("backend", ["exact", "hnsw"])
@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (JSON, lambda p: p.write_text("{"), "neighbours.json: missing or damaged"),
        (JSON, lambda p: p.write_text("[]"), "neighbours.json: missing or damaged"),
        (JSON, lambda p: p.write_text(p.read_text().replace('"views"', '"sight"')), "neighbours.json: missing or"),
        (ARRAYS, lambda p: p.unlink(), "neighbours.npz: missing or damaged"),
        (ARRAYS, lambda p: p.write_bytes(p.read_bytes()[:-60]), "neighbours.npz: missing or damaged"),
    ],
)
def test_a_damaged_recipe_is_one_line(run, here, workspace, name, damage, message, backend):
    pages = make(workspace, here / "w", "views and whitening")
    build = ("index", "build", pages.folder / "pages", "--model", pages.model, "--backend", backend)
    assert run(*build)[0] == 0
    damage(pages.model / name)
    for command in (("query", pages.paths[0]), ("query", pages.paths[0], "--index", "index"), build[:3]):
        status, output, errors = run(*command, "--model", pages.model)
        assert (status, output, len(errors.splitlines())) == (2, "", 1)
        assert message in errors
    assert run("classify", pages.paths[0], "--model", pages.model)[0] == 0


def test_a_whitening_of_another_width_is_one_line(run, here, workspace):
    pages = make(workspace, here / "w", "plain")
    Recipe(whitening=fit_whitening(np.eye(5, dtype=np.float32), 2)).save(pages.model)
    status, output, errors = run("query", pages.paths[0], "--model", pages.model)
    assert (status, output, len(errors.splitlines())) == (2, "", 1)
    assert "whitening of 5 dimensions, embeddings of 8" in errors


@pytest.mark.parametrize("name", ["plain", "views and whitening", "augmentation and reciprocal"])
def test_no_recipe_starts_torch_and_a_plain_one_no_compiler(here, workspace, name):
    pages = make(workspace, here / "w", name)
    barred = ["torch", "pandas", "scipy", "sklearn", "faiss", *(["numba"] if name == "plain" else [])]
    done = tool(barred, "query", pages.paths[QUERY], "--model", pages.model, "-k", "2", "--json")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert len(json.loads(done.stdout)["answers"]) == 2
