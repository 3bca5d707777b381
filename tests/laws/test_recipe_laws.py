"""What must hold of every recipe, whatever the embeddings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe, load_recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.reciprocal import Reciprocal
from twinfolio.retrieval.scorers import DistanceScorer, unit_rows
from twinfolio.retrieval.whitening import fit_whitening

LAW = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10_000)
some_expansion = st.none() | st.builds(Expansion, st.integers(1, 5), st.sampled_from([0.0, 1.0, 3.0]))
some_reciprocal = st.none() | st.builds(
    Reciprocal, st.integers(1, 6), st.integers(1, 4), st.just(0.3), st.integers(1, 9)
)


def vectors(n, seed, width=5):
    return unit_rows(np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32))


def cosine(gallery):
    return DistanceScorer(gallery, "cosine", 2.0, 5.0)


def gallery_of(recipe, seed, images=9):
    owner = np.sort(np.concatenate([np.arange(images), np.random.default_rng(seed).integers(images, size=4)]))
    return PreparedGallery(recipe, vectors(len(owner), seed), owner, cosine), owner


@LAW
@given(seed=seeds, dims=st.integers(1, 5))
def test_whitened_training_embeddings_have_the_identity_as_covariance(seed, dims):
    train = vectors(60, seed)
    white = fit_whitening(train, dims).project(train).astype(np.float64)
    assert np.cov(white, rowvar=False).reshape(dims, dims) == pytest.approx(np.eye(dims), abs=2e-3)


@LAW
@given(seed=seeds, tiles=st.integers(1, 3))
def test_the_plain_recipe_is_the_mean_over_all_pairs_of_tiles(seed, tiles):
    gallery, owner = gallery_of(Recipe(), seed)
    query = vectors(tiles, seed + 1)
    logits = cosine(vectors(len(owner), seed)).pairwise(query).mean(0)
    expected = [logits[owner == image].mean() for image in range(9)]
    scores = RecipeScores(gallery, query, np.zeros(tiles, np.int64), [np.empty(0, np.int64)])
    assert scores(np.zeros(1, np.int64), np.arange(9))[0] == pytest.approx(expected, abs=1e-5)


@LAW
@given(seed=seeds, n=st.integers(1, 8))
def test_expansion_with_alpha_zero_is_the_mean_of_query_and_neighbours(seed, n):
    gallery = PreparedGallery(Recipe(expansion=Expansion(n, 0.0)), vectors(8, seed), np.arange(8), cosine)
    query = vectors(1, seed + 1)
    nearest = np.argsort(-(vectors(8, seed) @ query[0]), kind="stable")[:n]
    mean = (query[0] + vectors(8, seed)[nearest].sum(0)) / (n + 1)
    assert gallery.query(query)[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-4)


@LAW
@given(
    seed=seeds, augmentation=some_expansion, expansion=some_expansion, reciprocal=some_reciprocal, white=st.booleans(),
    barred=st.sets(st.integers(0, 8), max_size=4), k=st.integers(1, 12),
)  # fmt: skip
def test_a_search_is_the_head_of_evaluations_ranking_and_never_holds_what_is_barred(
    seed, augmentation, expansion, reciprocal, white, barred, k
):
    whitening = fit_whitening(vectors(40, seed + 2), 4) if white else None
    gallery, _ = gallery_of(Recipe(None, whitening, augmentation, expansion, reciprocal), seed)
    out, query = np.array(sorted(barred), np.int64), vectors(2, seed + 1)
    images, scores = gallery.search(query, k, out)
    assert len(images) == min(k, 9 - len(out))
    assert not set(images.tolist()) & barred
    whole = RecipeScores(gallery, query, np.zeros(2, np.int64), [out])(np.zeros(1, np.int64), np.arange(9))[0]
    assert scores == pytest.approx(whole[images], abs=3e-4)
    rest = np.setdiff1d(np.arange(9), [*images, *barred])
    assert len(rest) == 0 or whole[rest].max() <= scores.min() + 3e-4


@LAW
@given(seed=seeds, augmentation=some_expansion, reciprocal=some_reciprocal, white=st.booleans())
def test_a_recipe_survives_the_disk(tmp_path_factory, seed, augmentation, reciprocal, white):
    whitening = fit_whitening(vectors(40, seed), 3, 0.2) if white else None
    recipe, folder = Recipe(None, whitening, augmentation, None, reciprocal), tmp_path_factory.mktemp("recipe")
    recipe.save(folder)
    read = load_recipe(folder)
    assert read.facts() == recipe.facts()
    assert (read.transform(vectors(6, seed + 1)) == recipe.transform(vectors(6, seed + 1))).all()
