"""Prepared galleries against a slow twin that knows whole matrices and one image at a time."""

import numpy as np
import pytest

from twinfolio.retrieval import prepared
from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.heads import build_scorer
from twinfolio.retrieval.prepared import NOTHING, PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.reciprocal import Reciprocal, jaccard_similarity
from twinfolio.retrieval.scorers import unit_rows
from twinfolio.retrieval.search import candidates
from twinfolio.retrieval.whitening import fit_whitening

WIDTH = 6
TILES = np.array([1, 2, 1, 3, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1])
OWNER = np.repeat(np.arange(len(TILES)), TILES)
HEADS = [("distance", "l1"), ("distance", "l2"), ("distance", "cosine"), ("weighted", "l2"), ("fusion", "cosine")]


def draw(n, seed=0, unit=True):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(4, WIDTH))
    vectors = (centres[rng.integers(4, size=n)] + 0.6 * rng.normal(size=(n, WIDTH))).astype(np.float32)
    return unit_rows(vectors) if unit else vectors


def head(kind, distance):
    rng = np.random.default_rng(1)
    state = {
        "distance": {"log_scale": np.float32(1.0), "offset": np.float32(1.5)},
        "weighted": {"weight": -rng.uniform(0.5, 2, WIDTH).astype(np.float32), "bias": np.float32(2.0)},
        "fusion": {
            "hidden.weight": rng.normal(size=(7, 2 * WIDTH + 1)).astype(np.float32),
            "hidden.bias": rng.normal(size=7).astype(np.float32),
            "out.weight": rng.normal(size=(1, 7)).astype(np.float32),
            "out.bias": np.zeros(1, np.float32),
        },
    }[kind]
    return lambda gallery: build_scorer(kind, distance, state, gallery)


RECIPES = {
    "plain": lambda v: Recipe(),
    "whitening": lambda v: Recipe(whitening=fit_whitening(v, 4, 0.1)),
    "expansion": lambda v: Recipe(expansion=Expansion(3, 2.0)),
    "augmentation": lambda v: Recipe(augmentation=Expansion(3, 2.0)),
    "reciprocal": lambda v: Recipe(reciprocal=Reciprocal(3, 2, 0.3, 6)),
    "all": lambda v: Recipe(
        whitening=fit_whitening(v, 4, 0.1), augmentation=Expansion(2, 1.0), expansion=Expansion(2, 0.0),
        reciprocal=Reciprocal(4, 2, 0.5, 7),
    ),
}  # fmt: skip


class Slow:
    """The same recipe, one image at a time, every score of every pair at hand."""

    def __init__(self, recipe, vectors, owner, build):
        self.recipe, self.build = recipe, recipe.scorer(build)
        v = recipe.transform(vectors)
        self.own = [v[owner == i] for i in range(owner.max() + 1)]

    def score(self, x, y):
        return float(self.build(y).paired(x, np.tile(np.arange(len(y)), (len(x), 1))).astype(np.float64).mean())

    def first(self, x, images, n, left_out):
        open_to = [i for i in range(len(images)) if i not in left_out]
        scored = sorted(((self.score(x, images[i]), -i) for i in open_to), reverse=True)[:n]
        return [-i for _, i in scored], np.array([s for s, _ in scored])

    def mix(self, x, images, found, weights):
        total = x.astype(np.float64) + sum((w * images[i].mean(0) for i, w in zip(found, weights, strict=True)))
        return (total / np.linalg.norm(total, axis=1, keepdims=True) * np.linalg.norm(x, axis=1, keepdims=True)).astype(
            np.float32
        )

    def gallery(self, barred):
        """As the query sees it: an image's barred neighbours are struck out of its list."""
        how, images = self.recipe.augmentation, self.own
        if how is None:
            return images
        seen = []
        for i, tiles in enumerate(images):
            found, scores = self.first(tiles, images, how.n, {i})
            kept = [(j, w) for j, w in zip(found, self.recipe.similarity(scores) ** how.alpha, strict=True)
                    if j not in barred]  # fmt: skip
            seen.append(self.mix(tiles, images, [j for j, _ in kept], [w for _, w in kept]))
        return seen

    def scores(self, tiles, barred):
        images, x = self.gallery(barred), self.recipe.transform(tiles)
        if self.recipe.expansion is not None:
            found, scores = self.first(x, images, self.recipe.expansion.n, barred)
            x = self.mix(x, images, found, self.recipe.similarity(scores) ** self.recipe.expansion.alpha)
        base = np.array([self.score(x, image) for image in images])
        how = self.recipe.reciprocal
        if how is None:
            return base
        final = how.weight * self.recipe.similarity(base)
        found, scores = self.first(x, images, how.candidates, barred)
        every = [x, *(images[i] for i in found)]
        similarity = np.array([[self.recipe.similarity(self.score(a, b)) for a in every] for b in every])
        final[found] += (1 - how.weight) * jaccard_similarity((similarity + similarity.T) / 2, how.k1, how.k2)
        return final


def case(name, kind="distance", distance="cosine", unit=True):
    vectors = draw(len(OWNER), unit=unit)
    recipe, build = RECIPES[name](vectors), head(kind, distance)
    return PreparedGallery(recipe, vectors, OWNER, build), Slow(recipe, vectors, OWNER, build)


@pytest.mark.parametrize(("kind", "distance"), HEADS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_under_every_head_gives_the_scores_of_its_slow_twin(name, kind, distance):
    fast, slow = case(name, kind, distance, unit=distance == "cosine")
    tiles, owner = draw(5, 7, unit=distance == "cosine"), np.array([0, 0, 1, 2, 2])
    barred = [NOTHING, np.array([3]), np.array([0, 5, 9])]
    scores = RecipeScores(fast, tiles, owner, barred)(np.arange(3), np.arange(len(TILES)))
    assert scores.dtype == np.float32
    for query in range(3):
        open_to = np.setdiff1d(np.arange(len(TILES)), barred[query])
        expected = slow.scores(tiles[owner == query], set(barred[query].tolist()))
        tolerance = 2e-5 * max(1.0, np.abs(expected).max())
        assert scores[query, open_to] == pytest.approx(expected[open_to], abs=tolerance)


@pytest.mark.parametrize("name", RECIPES)
def test_a_search_finds_what_evaluation_ranks_first(name):
    gallery, _ = case(name)
    tiles, barred = draw(2, 11), np.array([1, 4])
    images, scores = gallery.search(tiles, 5, barred)
    whole = RecipeScores(gallery, tiles, np.zeros(2, np.int64), [barred])(np.zeros(1, np.int64), np.arange(len(TILES)))
    whole[0, barred] = -np.inf
    assert images.tolist() == np.argsort(-whole[0], kind="stable")[:5].tolist()
    assert scores == pytest.approx(whole[0, images], abs=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_blocks_of_queries_and_gallery_are_parts_of_the_whole(name):
    gallery, _ = case(name)
    tiles, owner = draw(6, 3), np.array([0, 1, 1, 2, 3, 3])
    scores = RecipeScores(gallery, tiles, owner, [NOTHING, np.array([2]), NOTHING, np.array([7])])
    whole = scores(np.arange(4), np.arange(len(TILES)))
    rows, columns = np.array([3, 1]), np.array([9, 2, 3, 0])
    assert scores(rows, columns) == pytest.approx(whole[np.ix_(rows, columns)], abs=1e-5)


@pytest.mark.parametrize("name", ["plain", "whitening", "expansion", "reciprocal"])
def test_the_rest_scores_alike_whatever_the_barred_images_show(name):
    vectors, tiles, barred = draw(len(OWNER)), draw(2, 5), np.array([3, 6])
    recipe = RECIPES[name](vectors)
    other = vectors.copy()
    other[np.isin(OWNER, barred)] = tiles[0]
    rest = np.setdiff1d(np.arange(len(TILES)), barred)

    def scores(v):
        gallery = PreparedGallery(recipe, v, OWNER, head("distance", "cosine"))
        return RecipeScores(gallery, tiles, np.zeros(2, np.int64), [barred])(np.zeros(1, np.int64), rest)

    assert scores(other) == pytest.approx(scores(vectors), abs=1e-5)


def test_a_gallery_image_blended_with_the_querys_page_is_scored_without_it():
    vectors, tiles = draw(len(OWNER)), draw(1, 5)
    gallery = PreparedGallery(RECIPES["augmentation"](vectors), vectors, OWNER, head("distance", "cosine"))
    page = int(gallery.lists[0, 0])
    alone = gallery.own[gallery.rows_of_image[0]].astype(np.float64)
    for member, weight in zip(gallery.lists[0, 1:], gallery.weights[0, 1:], strict=True):
        alone += weight * gallery.own[gallery.rows_of_image[member]].mean(0)
    expected = head("distance", "cosine")(alone.astype(np.float32)).pairwise(tiles).mean()
    scores = RecipeScores(gallery, tiles, np.zeros(1, np.int64), [np.array([page])])
    plain = RecipeScores(gallery, tiles, np.zeros(1, np.int64), [NOTHING])
    first = np.zeros(1, np.int64)
    assert scores(first, first)[0, 0] == pytest.approx(expected, abs=1e-5)
    assert abs(plain(first, first)[0, 0] - expected) > 1e-3


def test_the_plain_recipe_is_the_head_itself():
    gallery, _ = case("plain")
    tiles = draw(1, 2)
    logits = head("distance", "cosine")(draw(len(OWNER))).pairwise(tiles)[0]
    means = np.array([logits[i == OWNER].mean() for i in range(len(TILES))])
    images, scores = gallery.search(tiles, 4)
    assert images.tolist() == np.argsort(-means)[:4].tolist()
    assert scores == pytest.approx(means[images], abs=1e-5)


def test_candidates_stand_above_all_others():
    gallery, _ = case("reciprocal")
    tiles = draw(1, 4)
    found, _ = gallery.nearest(gallery.query(tiles), 6)
    scores = RecipeScores(gallery, tiles, np.zeros(1, np.int64), [NOTHING])(np.zeros(1, int), np.arange(len(TILES)))[0]
    assert scores[found].min() >= np.delete(scores, found).max()


@pytest.mark.parametrize("name", RECIPES)
def test_asking_for_more_than_there_is_gives_all_there_is(name):
    gallery, _ = case(name)
    images, scores = gallery.search(draw(1, 4), 99, np.array([5]))
    assert sorted([*images, 5]) == list(range(len(TILES)))
    assert (np.diff(scores) <= 0).all()
    assert len(gallery.search(draw(1, 4), 3, np.arange(len(TILES)))[0]) == 0


@pytest.mark.parametrize("name", RECIPES)
def test_a_gallery_of_one_image_is_searched_too(name):
    recipe = RECIPES[name](draw(20))
    gallery = PreparedGallery(recipe, draw(2), np.zeros(2, np.int64), head("distance", "cosine"))
    assert gallery.search(draw(1, 3), 5)[0].tolist() == [0]


def test_an_approximate_index_may_name_the_candidates():
    gallery, _ = case("reciprocal")
    exact = gallery.search(draw(1, 4), 5)
    asked = []

    def near(query, places):
        asked.append(places)
        rows = candidates(gallery.scorer, query, places)
        rows[:, -1] = -1
        return rows

    gallery.near = near
    found = gallery.search(draw(1, 4), 5)
    assert asked
    assert found[0].tolist() == exact[0].tolist()


def test_memory_counts_what_stays():
    vectors = draw(len(OWNER))
    plain, augmented = (case(name)[0].nbytes for name in ("plain", "augmentation"))
    assert plain == vectors.nbytes
    assert augmented == 2 * vectors.nbytes + len(TILES) * 3 * 16
    assert case("whitening")[0].nbytes == len(OWNER) * 4 * 4 + WIDTH * 4 * 5


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("small", [True, False])
def test_everything_has_the_scores_of_evaluation_whatever_the_gallerys_size(name, small, monkeypatch):
    gallery, _ = case(name, "distance", "l2", unit=False)
    monkeypatch.setattr(prepared, "SMALL", prepared.SMALL if small else 0)
    tiles, barred = draw(2, 11, unit=False), np.array([1, 4])
    images, scores, closest = gallery.everything(tiles, 2, barred)
    assert closest == gallery.nearest(gallery.query(tiles, barred), 1, barred)[1][0]
    assert sorted([*images, *barred]) == list(range(len(TILES)))
    ranked = RecipeScores(gallery, tiles, np.zeros(2, np.int64), [barred])
    assert scores == pytest.approx(ranked(np.zeros(1, np.int64), images)[0], abs=2e-5)


@pytest.mark.parametrize("name", ["plain", "augmentation", "all"])
def test_no_tile_can_hide_an_image_that_is_near_by_its_mean(name):
    """Rows of one image fill the first places; the others are found by their means all the same."""
    vectors, owner = draw(400, 3), np.repeat(np.arange(200), 2)
    recipe, build = RECIPES[name](vectors), head("distance", "cosine")
    gallery, tiles = PreparedGallery(recipe, vectors, owner, build), draw(3, 9)
    scores = RecipeScores(gallery, tiles, np.zeros(3, np.int64), [NOTHING])(np.zeros(1, np.int64), np.arange(200))[0]
    first, best = gallery.search(tiles, 5)
    assert scores[first] == pytest.approx(np.sort(scores)[::-1][:5], abs=2e-5)
    assert best == pytest.approx(scores[first], abs=2e-5)


def test_blending_in_blocks_is_blending_at_once(monkeypatch):
    whole = case("augmentation")[0]
    monkeypatch.setattr(prepared, "_CELLS", 1)
    parts = case("augmentation")[0]
    assert parts.lists.tolist() == whole.lists.tolist()
    assert parts.vectors == pytest.approx(whole.vectors, abs=1e-5)
