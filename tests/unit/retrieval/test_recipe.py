import json

import numpy as np
import pytest

from tests.unit.retrieval.test_whitening import correlated
from twinfolio.errors import ModelError
from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.recipe import ARRAYS, JSON, Recipe, load_recipe
from twinfolio.retrieval.reciprocal import Reciprocal
from twinfolio.retrieval.scorers import DistanceScorer
from twinfolio.retrieval.views import Views
from twinfolio.retrieval.whitening import fit_whitening


def everything():
    return Recipe(
        Views(1, 0.5),
        fit_whitening(correlated(), 4, 0.25),
        Expansion(2, 1.0),
        Expansion(3, 0.0),
        Reciprocal(9, 2, 0.4, 50),
    )


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(reciprocal=Reciprocal()), everything()])
def test_what_is_read_is_what_was_written(tmp_path, recipe):
    recipe.save(tmp_path)
    read = load_recipe(tmp_path)
    assert read.facts() == recipe.facts()
    assert [read.views, read.augmentation, read.expansion, read.reciprocal] == [
        recipe.views, recipe.augmentation, recipe.expansion, recipe.reciprocal,
    ]  # fmt: skip
    if recipe.whitening is not None:
        assert (read.transform(correlated(seed=3)) == recipe.transform(correlated(seed=3))).all()
    assert {path.name for path in tmp_path.iterdir()} == {JSON} | ({ARRAYS} if recipe.whitening else set())


def test_two_writings_agree_byte_by_byte_and_leave_no_old_arrays(tmp_path):
    for name in ("a", "b"):
        everything().save(tmp_path / name)
    assert (tmp_path / "a" / ARRAYS).read_bytes() == (tmp_path / "b" / ARRAYS).read_bytes()
    Recipe().save(tmp_path / "a")
    assert not (tmp_path / "a" / ARRAYS).exists()


def test_a_recipe_says_what_it_does():
    assert (Recipe().name, Recipe().setting) == ("plain", "")
    assert everything().name == "views + whitening + database augmentation + query expansion + k-reciprocal"
    assert Recipe(expansion=Expansion(3, 2.0)).setting == "n = 3, alpha = 2.0"


def damage(folder, how):
    arrays, text = folder / ARRAYS, folder / JSON
    if how == "no json":
        text.unlink()
    elif how == "cut json":
        text.write_text(text.read_text()[:40])
    elif how == "another key":
        text.write_text(json.dumps(json.loads(text.read_text()) | {"views": {"zoom": 2}}))
    elif how == "out of bounds":
        text.write_text(json.dumps(json.loads(text.read_text()) | {"expansion": {"n": 0, "alpha": 1.0}}))
    elif how == "no list":
        text.write_text("[]")
    elif how == "no arrays":
        arrays.unlink()
    elif how == "cut arrays":
        arrays.write_bytes(arrays.read_bytes()[:300])
    elif how == "flipped":
        raw = bytearray(arrays.read_bytes())
        raw[200] ^= 255
        arrays.write_bytes(raw)
    elif how == "other arrays":
        np.savez(arrays, mean=np.zeros(3, np.float32), projection=np.zeros((4, 4), np.float32))
    else:
        np.savez(arrays, mean=np.full(12, np.nan, np.float32), projection=np.zeros((12, 4), np.float32))


@pytest.mark.parametrize(
    "how",
    ["no json", "cut json", "another key", "out of bounds", "no list", "no arrays", "cut arrays", "flipped",
     "other arrays", "not finite"],
)  # fmt: skip
def test_a_damaged_recipe_is_one_line_that_names_the_file(tmp_path, how):
    everything().save(tmp_path)
    damage(tmp_path, how)
    with pytest.raises(ModelError, match=r"neighbours\.(json|npz)") as caught:
        load_recipe(tmp_path)
    assert "\n" not in str(caught.value)


def test_embeddings_of_another_width_are_refused():
    with pytest.raises(ModelError, match="12 dimensions, embeddings of 5"):
        everything().transform(np.ones((2, 5), np.float32))


def test_a_model_trained_again_gets_its_own_whitening_and_the_same_settings():
    other = correlated(seed=9)
    fitted = everything().fitted(other)
    assert fitted.facts() == everything().facts()
    assert np.cov(fitted.whitening.project(other), rowvar=False).shape == (4, 4)
    assert (fitted.whitening.mean != everything().whitening.mean).any()
    assert Recipe().fitted(other) == Recipe()


def test_similarity_lies_between_0_and_1_for_logits_and_for_cosines():
    logits = np.array([-900.0, 0.0, 900.0])
    assert Recipe().similarity(logits) == pytest.approx([0, 0.5, 1])
    assert everything().similarity(np.array([-0.5, 0.3, 1.00001])) == pytest.approx([0, 0.3, 1])


def test_whitened_vectors_are_scored_by_cosine_whatever_the_head():
    recipe, vectors = everything(), correlated()
    white = recipe.transform(vectors)
    scorer = recipe.scorer(lambda gallery: DistanceScorer(gallery, "l1", 3.0, 7.0))(white)
    assert scorer.pairwise(white[:3]) == pytest.approx(white[:3] @ white.T, abs=1e-5)
