from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.assessment.conftest import cosine_head, make_ready_of, make_systems, write_unknown
from twinfolio.assessment import readiness
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.images import barred_images, originals
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.data.store import Store
from twinfolio.evaluation.open_set import impostor_scores
from twinfolio.evaluation.pairs import pair_scores
from twinfolio.evaluation.verification import choose_threshold
from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.views import Views

COSINE = make_systems()[1]


@pytest.fixture
def compared(store_root, systems, tmp_path):
    return compare_systems(systems, ["l1", "cosine"], store_root, tmp_path / "e", PairSettings(), Resampling(n=100))


@pytest.fixture
def made(store_root, tmp_path, compared, monkeypatch):
    """``make_ready`` under a recipe, and what it gave to ``calibrate``."""

    def run(recipe=None, root=store_root):
        given = {}
        true = readiness.calibrate

        def calibrate(scores, impostors, queries, gallery, probabilities, settings):
            given.update(scores=scores, impostors=impostors, probabilities=probabilities)
            return true(scores, impostors, queries, gallery, probabilities, settings)

        monkeypatch.setattr(readiness, "calibrate", calibrate)
        if recipe is not None:
            kept = SimpleNamespace(kept=SimpleNamespace(recipe=recipe))
            monkeypatch.setattr(readiness, "ablate", lambda *arguments: kept)
        return make_ready_of(COSINE, root, compared, tmp_path / "e"), given

    return run


@pytest.fixture
def sides(store_root):
    return [originals(Store.open(store_root / split)) for split in ("val", "train")]


def vectors_of(root, split, of):
    return COSINE.embed(Store.open(root / split).batch(of.rows))


def test_test_is_never_opened(made, store_root):
    assert not (store_root / "test").exists()
    first, _ = made()
    (store_root / "test").mkdir()
    for name in ("images.npy", "labels.npy", "index.csv"):
        (store_root / "test" / name).write_text("no store")
    again, _ = made()
    assert again.calibration == first.calibration
    assert (again.threshold, again.champion) == (first.threshold, "cosine")


def test_the_threshold_is_chosen_on_the_frozen_pairs_under_the_kept_recipe(made, compared, sides):
    ready, given = made(Recipe(expansion=Expansion(3, 1.0)))
    val, train = (side.items for side in sides)
    of_pairs = pair_scores(compared.pairs, given["scores"], val.ids, train.ids)
    assert ready.threshold == choose_threshold(of_pairs, compared.pairs["label"].to_numpy().astype(bool), "f1")
    plain, _ = made(Recipe())
    assert ready.threshold != plain.threshold


def test_probabilities_of_the_class_layer_are_means_over_tiles(made, sides):
    _, given = made(Recipe())
    np.testing.assert_allclose(given["probabilities"], np.tile([0.1, 0.7, 0.1, 0.1], (len(sides[0]), 1)))
    halves = SimpleNamespace(classify=lambda x: np.eye(2)[np.arange(len(x)) % 2])
    of = sides[0]
    averaged = readiness.class_probabilities(halves, np.zeros((len(of.rows), 3)), of)
    tiled = np.char.startswith(of.items.ids, "tha")
    np.testing.assert_allclose(averaged[tiled], 0.5)
    assert readiness.class_probabilities(SimpleNamespace(classify=None), np.zeros((1, 3)), of) is None


def test_an_impostor_learns_nothing_from_its_own_class(made, store_root, sides):
    """Query expansion asks with the class taken out of the gallery, as if it had never been there."""
    recipe = Recipe(expansion=Expansion(4, 0.5))
    ready, given = made(recipe)
    val, train = sides
    tiles, rows = vectors_of(store_root, "val", val), vectors_of(store_root, "train", train)
    slow = np.empty(len(val))
    for label in range(4):
        kept = np.flatnonzero(train.items.labels != label)
        of_kept = np.isin(train.row_image, kept)
        gallery = PreparedGallery(recipe, rows[of_kept], np.searchsorted(kept, train.row_image[of_kept]), cosine_head)
        asked = np.flatnonzero(val.items.labels == label)
        nothing = [np.empty(0, np.int64)] * len(val)
        alone = RecipeScores(gallery, tiles, val.row_image, nothing)
        slow[asked] = alone(asked, np.arange(len(kept))).max(1)
    found = given["impostors"].scores
    assert given["impostors"].classes == ready.calibration.unknown_classes == 0
    np.testing.assert_allclose(found, slow, atol=1e-5)
    leaky = impostor_scores(given["scores"], val.items, train.items)
    assert np.abs(leaky - slow).max() > 0.01
    assert (found >= ready.calibration.unknown).mean() <= 0.05


@pytest.mark.parametrize("views", [None, Views(1, 0.5)])
def test_every_second_held_out_class_sets_the_threshold(made, store_root, sides, views):
    write_unknown(store_root)
    ready, given = made(Recipe(views=views, expansion=Expansion(2, 1.0)))
    store = Store.open(store_root / "unknown")
    rows = np.flatnonzero(np.isin(store.labels, [5, 7]))  # of 4 to 7, by name
    seen = Recipe(views=views).forward(COSINE.embed)
    recipe = Recipe(views=views, expansion=Expansion(2, 1.0))
    train = sides[1]
    gallery = PreparedGallery(
        recipe, seen(Store.open(store_root / "train").batch(train.rows)), train.row_image, cosine_head
    )
    ids = store.index["image_id"].to_numpy(dtype=str)[rows]
    expected = [gallery.search(seen(store.batch(rows[ids == name])), 1)[1] for name in dict.fromkeys(ids)]
    np.testing.assert_allclose(np.sort(given["impostors"].scores), np.sort(np.ravel(expected)), atol=1e-5)
    assert len(expected) == 12
    assert given["impostors"].classes == ready.calibration.unknown_classes == 2
    assert (np.ravel(expected) >= ready.calibration.unknown).mean() <= 0.05


def test_the_own_page_lends_no_evidence_to_the_scores_of_pairs(made, sides, store_root):
    recipe = Recipe(expansion=Expansion(4, 0.5))
    _, given = made(recipe)
    val, train = sides
    gallery = PreparedGallery(recipe, vectors_of(store_root, "train", train), train.row_image, cosine_head)
    barred = barred_images(val.items, train.items)
    expected = RecipeScores(gallery, vectors_of(store_root, "val", val), val.row_image, barred)
    everyone = np.arange(len(val)), np.arange(len(train))
    np.testing.assert_array_equal(given["scores"](*everyone), expected(*everyone))
