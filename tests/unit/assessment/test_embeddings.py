import numpy as np
import pytest

from twinfolio.assessment.embeddings import embed_originals, load_embeddings, save_embeddings
from twinfolio.assessment.images import originals
from twinfolio.data.store import Store
from twinfolio.errors import DataError


def test_saved_embeddings_come_back_and_need_no_pickle(store_root, systems, tmp_path):
    store = Store.open(store_root / "val")
    of = originals(store)
    vectors = embed_originals(systems[1], store.images, of, "val")
    np.testing.assert_allclose(vectors, systems[1].embed(np.asarray(store.images)[of.rows]))
    save_embeddings(tmp_path / "e" / "x.npz", {"val": (of, vectors)})
    np.testing.assert_array_equal(load_embeddings(tmp_path / "e" / "x.npz", "val", of), vectors)
    with np.load(tmp_path / "e" / "x.npz", allow_pickle=False) as file:
        assert file["val"].dtype == np.float32


def test_embeddings_of_other_images_are_refused(store_root, systems, tmp_path):
    val = originals(Store.open(store_root / "val"))
    train = originals(Store.open(store_root / "train"))
    save_embeddings(tmp_path / "x.npz", {"val": (val, np.zeros((len(val.rows), 2), np.float32))})
    with pytest.raises(DataError, match="other images"):
        load_embeddings(tmp_path / "x.npz", "val", train)
    with pytest.raises(DataError, match="no such file"):
        load_embeddings(tmp_path / "y.npz", "val", val)
