from __future__ import annotations

import numpy as np
import pytest

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.embed import embed


def test_batches_give_what_one_call_gives_and_none_is_larger_than_asked():
    images = np.random.default_rng(0).integers(0, 256, (11, 4, 5, 3), dtype=np.uint8)
    sizes = []

    def forward(batch):
        sizes.append(len(batch))
        return batch.reshape(len(batch), -1)[:, :7].astype(np.float64)

    whole = images.reshape(11, -1)[:, :7]
    result = embed(forward, images, batch_size=4)
    assert result.dtype == np.float32
    assert (result == whole).all()
    assert sizes == [4, 4, 3]


def test_a_memory_map_is_handed_on_as_plain_contiguous_arrays(tmp_path):
    images = np.lib.format.open_memmap(tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=(5, 2, 2, 3))
    images[:] = np.arange(5)[:, None, None, None]
    seen = []

    def forward(batch):
        seen.append(batch.flags["C_CONTIGUOUS"])
        return batch[:, 0, 0].astype(np.float32)

    assert embed(forward, images, 2, progress="test")[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert all(seen)


def test_no_images_is_a_data_error():
    with pytest.raises(DataError, match="no images"):
        embed(lambda batch: batch[:, 0, 0], np.empty((0, 2, 2, 3), np.uint8))


def test_an_embedding_that_is_not_finite_is_a_model_error():
    with pytest.raises(ModelError, match="NaN"):
        embed(lambda batch: np.full((len(batch), 2), np.nan, np.float32), np.zeros((3, 2, 2, 3), np.uint8))


def test_a_forward_that_loses_rows_is_refused():
    with pytest.raises(ValueError, match="shape"):
        embed(lambda batch: np.zeros((1, 2), np.float32), np.zeros((3, 2, 2, 3), np.uint8), 3)


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ValueError, match="batch_size"):
        embed(lambda batch: batch[:, 0, 0], np.zeros((3, 2, 2, 3), np.uint8), 0)
