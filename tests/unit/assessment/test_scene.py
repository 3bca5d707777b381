import json
import shutil

import numpy as np
import pytest

from tests.unit.assessment.conftest import make_systems, write_info, write_split
from twinfolio.assessment.embeddings import embed_gallery, embed_originals
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.scene import open_scene
from twinfolio.errors import DataError

HOW = Resampling(n=100)


@pytest.fixture
def saved(whole_store, tmp_path):
    """The file of the colour system's gallery embeddings."""
    embed_gallery(make_systems()[1], whole_store, tmp_path / "e.npz")
    return {"cosine": tmp_path / "e.npz"}


def opened(root, saved):
    return open_scene(root, saved, 5, 5, HOW)


def test_gallery_is_train_then_validation_and_the_archive_adds_test(whole_store, saved):
    scene = opened(whole_store, saved)
    train, val, test = (scene.parts[split].items.ids for split in ("train", "val", "test"))
    assert scene.gallery.items.ids.tolist() == [*train, *val]
    assert scene.archive.items.ids.tolist() == [*train, *val, *test]
    assert scene.queries is scene.parts["test"]


def test_the_gallery_embeddings_are_rows_of_the_same_images(whole_store, saved):
    scene = opened(whole_store, saved)
    system = make_systems()[1]
    expected = [embed_originals(system, scene.stores[s].images, scene.parts[s], s) for s in ("train", "val")]
    np.testing.assert_array_equal(scene.gallery_embeddings("cosine"), np.concatenate(expected))
    assert len(scene.gallery_embeddings("cosine")) == len(scene.gallery.row_image)


def test_embeddings_of_other_images_are_refused(whole_store, saved):
    shutil.rmtree(whole_store / "val")
    write_split(whole_store / "val", range(4, 6), seed=2)
    with pytest.raises(DataError, match="embeddings of other images than the store's val split"):
        opened(whole_store, saved).gallery_embeddings("cosine")


def test_embeddings_that_were_never_made_are_named(whole_store, tmp_path):
    scene = opened(whole_store, {"cosine": tmp_path / "nothing.npz"})
    with pytest.raises(DataError, match=r"nothing\.npz: no such file"):
        scene.gallery_embeddings("cosine")


def test_the_splits_opened_are_those_the_store_names(whole_store, saved):
    write_split(whole_store / "unknown", range(2), seed=4)
    assert list(opened(whole_store, saved).stores) == ["train", "val", "test"]
    info = json.loads((whole_store / "store.json").read_text())
    (whole_store / "store.json").write_text(json.dumps(info | {"unknown_classes": ["jim"]}))
    scene = opened(whole_store, saved)
    assert list(scene.stores) == list(scene.parts) == ["train", "val", "test", "unknown"]
    assert not set(scene.parts["unknown"].items.ids) & set(scene.pairs["query"])


def test_a_store_without_a_promised_split_is_refused(whole_store, saved):
    write_info(whole_store)
    shutil.rmtree(whole_store / "test")
    with pytest.raises(DataError, match="not a readable store"):
        opened(whole_store, saved)


def test_pairs_join_test_with_the_gallery_and_follow_the_seed(whole_store, saved):
    scene = opened(whole_store, saved)
    assert set(scene.pairs["query"]) <= set(scene.queries.items.ids)
    assert set(scene.pairs["archive"]) <= set(scene.gallery.items.ids)
    assert scene.pairs["label"].mean() == pytest.approx(0.5)
    assert scene.pairs.equals(opened(whole_store, saved).pairs)
    other = open_scene(whole_store, saved, 5, 5, Resampling(n=100, seed=1)).pairs
    assert not scene.pairs.equals(other)
