import json

import numpy as np
import pandas as pd
import pytest

from twinfolio.assessment.calibration import Calibration
from twinfolio.assessment.gallery import gallery_table
from twinfolio.assessment.images import originals
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.model_folder import load_model_folder, write_model_folder
from twinfolio.assessment.scene import Scene
from twinfolio.assessment.searched import SearchSetting
from twinfolio.assessment.systems import frozen_trunk, trained_system
from twinfolio.data.store import Store, StoreInfo
from twinfolio.errors import ModelError
from twinfolio.evaluation.calibration import Calibrator
from twinfolio.evaluation.conformal import Conformal
from twinfolio.retrieval.recipe import Recipe, load_recipe
from twinfolio.retrieval.whitening import fit_whitening
from twinfolio.serving.loading import load_program

TRUNK = "test_efficientnet"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    import torch

    from twinfolio.models.bundle import save_model
    from twinfolio.models.embedder import build_class_layer, build_siamese

    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedder, head = build_siamese(TRUNK, weights="none", head="distance", distance="l1", embedding=6)
        layer = build_class_layer(embedder, 4)
    folder = tmp_path_factory.mktemp("bundle")
    save_model(folder, embedder=embedder.eval(), head=head, class_layer=layer, config={"kind": "siamese"})
    return folder


CLASSES = ["alif", "ba", "ta", "tha"]
CALIBRATION = Calibration(
    Calibrator("logistic", (2.0, -1.0)), 0.25, {"logistic": 0.1}, 1.5, 0.75, 0.05, 2, Conformal(0.4, 0.9, 12)
)


def write(folder, bundle, store_root, vectors):
    store = StoreInfo(3, CLASSES, {}, "hash", "pad", False, "pages", 32, 3.0, 6)
    parts = {split: originals(Store.open(store_root / split)) for split in ("train", "val")}
    scene = Scene(store, {}, parts, None, None, {}, Resampling())
    setting = SearchSetting(Recipe(whitening=fit_whitening(vectors, 3, 0.1)), 1.5, CALIBRATION)
    ids = np.concatenate([part.items.ids for part in parts.values()])
    manifest = pd.DataFrame({"image_id": ids, "path": [f"{i}.jpg" for i in ids], "sha256": [f"sha {i}" for i in ids]})
    table = gallery_table(scene.parts, scene.info.classes, manifest)
    write_model_folder(folder, bundle=bundle, info=store, setting=setting, embeddings=vectors, gallery=table)


@pytest.fixture
def written(bundle, store_root, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3 * 9 + 2 * 9 + 3 * 6 + 2 * 6, 6)).astype(np.float32)
    write(tmp_path / "model", bundle, store_root, vectors)
    return tmp_path / "model", vectors


def test_a_moved_folder_loads_with_the_same_scores_and_gallery(written, bundle, tmp_path):
    folder, vectors = written
    moved = folder.rename(tmp_path / "elsewhere")
    loaded = load_model_folder(moved)
    np.testing.assert_array_equal(loaded.embeddings, vectors)
    assert loaded.threshold == 1.5
    assert list(loaded.gallery["split"].unique()) == ["train", "val"]
    assert loaded.gallery.loc[loaded.gallery["tile"] == 1, "label"].unique().tolist() == ["tha"]
    row = loaded.gallery.iloc[-1]
    assert (row["path"], row["content"]) == (f"{row['image_id']}.jpg", f"sha {row['image_id']}")
    assert Calibration.from_json(json.loads((moved / "calibration.json").read_text())) == CALIBRATION
    assert load_recipe(moved).whitening.dims == 3
    images = np.random.default_rng(1).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    first, second = loaded.system, trained_system("l1", bundle)
    x = first.embed(images)
    np.testing.assert_array_equal(x, second.embed(images))
    np.testing.assert_array_equal(first.scores(x, vectors), second.scores(x, vectors))


def test_writing_twice_gives_the_same_bytes(written, bundle, store_root):
    folder, vectors = written
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    write(folder, bundle, store_root, vectors)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["embeddings.npy", "gallery.csv", "classes.json", "threshold.json", "model.json"])
def test_a_folder_that_lacks_a_file_is_no_model(written, name):
    folder, _ = written
    (folder / name).unlink()
    with pytest.raises(ModelError):
        load_model_folder(folder)


def test_a_gallery_of_another_length_is_refused(written):
    folder, vectors = written
    np.save(folder / "embeddings.npy", vectors[1:])
    with pytest.raises(ModelError, match="gallery rows"):
        load_model_folder(folder)


def test_a_class_layer_gives_probabilities(bundle):
    system = trained_system("l1", bundle)
    shares = system.classify(np.ones((2, 6), np.float32))
    assert shares.shape == (2, 4)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_the_frozen_trunk_is_the_same_in_both_stages_and_leaves_the_global_generator_alone():
    import torch

    images = np.random.default_rng(1).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
    state = torch.get_rng_state()
    first = frozen_trunk(TRUNK, "none", 3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    np.testing.assert_array_equal(first.embed(images), frozen_trunk(TRUNK, "none", 3).embed(images))
    assert first.pretrained is False


def test_the_program_embeds_classifies_and_scores_without_torch_as_the_model_does_with_it(written):
    folder, vectors = written
    loaded, program = load_model_folder(folder).system, load_program(folder)
    images = np.random.default_rng(1).integers(0, 255, (19, 32, 32, 3), dtype=np.uint8)
    embeddings = program.embed(images)
    np.testing.assert_allclose(embeddings, loaded.embed(images), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        program.scorer(vectors).pairwise(embeddings), loaded.scores(embeddings, vectors), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(program.probabilities(embeddings).sum(1), 1, rtol=1e-5)
    assert program.rendering.size == 32
