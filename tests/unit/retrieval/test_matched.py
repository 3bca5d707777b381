"""Rows that end in key points, against one image at a time with every number at hand."""

import numpy as np
import pytest

from twinfolio.descriptors.matching import Matching, count_matches
from twinfolio.errors import ModelError
from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.matched import Matched
from twinfolio.retrieval.prepared import NOTHING, PreparedGallery
from twinfolio.retrieval.recipe import Recipe, load_recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.scorers import distance_scorer
from twinfolio.retrieval.whitening import fit_whitening

HOW = Matched(ratio=1.0, weight=0.3, candidates=5, points=6, width=8)
OWNER = np.array([0, 1, 1, 2, 3, 4, 5, 6, 7])
COSINE = distance_scorer("cosine")


def draw(n, seed=0):
    """Rows of a vector of 4 and up to six key points of three prototypes; the first image has none."""
    rng = np.random.default_rng(seed)
    prototypes = rng.normal(size=(12, 10))
    points = prototypes[rng.integers(12, size=(n, 6))] + 0.01 * rng.normal(size=(n, 6, 10))
    points[rng.random((n, 6)) < 0.3] = 0
    points[0] = 0
    return np.hstack([rng.normal(size=(n, 4)), points.reshape(n, -1)]).astype(np.float32)


def slow(tiles, rows, owner, candidates, whitening=None):
    """Scores of all images, the mean over pairs of tiles; matches count for the first candidates."""
    vectors = [side[:, :4] if whitening is None else whitening.apply(side[:, :4]) for side in (tiles, rows)]
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in vectors]
    keep = [[row[4:].reshape(6, 10)[row[4:].reshape(6, 10)[:, 2:].any(1)] for row in side] for side in (tiles, rows)]
    gains = [[0.3 * np.log1p(count_matches(a, b, Matching(ratio=1.0))) for b in keep[1]] for a in keep[0]]
    pairs = unit[0] @ unit[1].T
    plain = np.array([pairs[:, owner == image].mean() for image in range(owner.max() + 1)])
    gain = np.array([np.array(gains)[:, owner == image].mean() for image in range(owner.max() + 1)])
    first = np.argsort(-plain, kind="stable")[:candidates]
    return plain + np.where(np.isin(np.arange(len(plain)), first), gain, 0)


@pytest.mark.parametrize("n_tiles", [1, 2])
@pytest.mark.parametrize("candidates", [5, 8])
@pytest.mark.parametrize("whitening", [None, fit_whitening(draw(40, seed=5)[:, :4], 3)])
def test_the_first_candidates_are_ranked_again_by_their_matches(n_tiles, candidates, whitening):
    rows, tiles = draw(len(OWNER)), draw(n_tiles + 1, seed=1)[1:]
    how = Matched(ratio=1.0, weight=0.3, candidates=candidates, points=6, width=8)
    gallery = PreparedGallery(Recipe(matched=how, whitening=whitening), rows, OWNER, COSINE)
    expected = slow(tiles, rows, OWNER, candidates, whitening)
    images, scores = gallery.search(tiles, 8)
    np.testing.assert_allclose(scores, expected[images], atol=1e-6)
    assert (np.diff(scores) <= 0).all()
    all_scores = RecipeScores(gallery, tiles, np.zeros(n_tiles, int), [NOTHING])(np.array([0]), np.arange(8))
    np.testing.assert_allclose(all_scores[0], expected, atol=1e-6)


def test_matches_change_the_order_and_never_put_a_candidate_behind_the_rest():
    rows = draw(len(OWNER))
    plain = PreparedGallery(Recipe(matched=HOW).first_pass, rows, OWNER, COSINE)
    again = PreparedGallery(Recipe(matched=HOW), rows, OWNER, COSINE)
    orders = [[gallery.search(draw(9, seed)[8:], 8)[0] for seed in range(1, 9)] for gallery in (plain, again)]
    assert any((a != b).any() for a, b in zip(*orders, strict=True))
    assert all(set(a[:5]) == set(b[:5]) for a, b in zip(*orders, strict=True))


def test_an_image_without_key_points_keeps_the_score_of_its_vector():
    rows = draw(len(OWNER))
    gallery = PreparedGallery(Recipe(matched=HOW), rows, OWNER, COSINE)
    blank = draw(1)
    vectors = rows[:, :4] / np.linalg.norm(rows[:, :4], axis=1, keepdims=True)
    best = vectors @ blank[0, :4] / np.linalg.norm(blank[0, :4])
    assert gallery.search(blank, 1)[1] == pytest.approx(best.max(), abs=1e-6)


def test_a_barred_image_takes_no_place_among_the_candidates():
    rows, tiles = draw(len(OWNER)), draw(2, seed=1)[1:]
    gallery = PreparedGallery(Recipe(matched=HOW), rows, OWNER, COSINE)
    barred = gallery.search(tiles, 3)[0]
    images, scores = gallery.search(tiles, 8, barred)
    kept = ~np.isin(OWNER, barred)
    rest = np.unique(OWNER[kept])
    expected = slow(tiles, rows[kept], np.searchsorted(rest, OWNER[kept]), 5)
    np.testing.assert_allclose(scores, expected[np.searchsorted(rest, images)], atol=1e-6)


def test_a_whitening_is_learned_from_vectors_alone():
    rows = draw(40, seed=5)
    recipe = Recipe(matched=HOW, whitening=fit_whitening(rows[:, :4], 3))
    assert recipe.fitted(rows).whitening.mean.tolist() == recipe.whitening.mean.tolist()
    with pytest.raises(ModelError, match="whitening of 4 dimensions, embeddings of 5"):
        recipe.transform(np.hstack([rows[:, :1], rows]))


def test_it_is_saved_and_read_with_the_recipe(tmp_path):
    Recipe(matched=HOW).save(tmp_path)
    assert load_recipe(tmp_path) == Recipe(matched=HOW)
    assert Recipe(matched=HOW).name == "matched key points"


@pytest.mark.parametrize("wrong", [{"points": 0}, {"weight": -0.1}, {"candidates": -1}])
def test_values_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match="points and width must be >= 1"):
        Matched(**wrong)


def test_key_points_are_not_blended():
    with pytest.raises(ValueError, match="go with no other part"):
        Recipe(matched=HOW, expansion=Expansion(2, 1.0))
