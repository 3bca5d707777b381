import numpy as np
import pandas as pd

from tests.unit.assessment.conftest import write_unknown
from twinfolio.assessment.images import originals
from twinfolio.assessment.unknown import unknown_images
from twinfolio.data.store import Store


def test_the_two_halves_share_no_class_and_are_all_of_them(store_root):
    write_unknown(store_root)
    store = Store.open(store_root / "unknown")
    halves = [unknown_images(store, purpose) for purpose in ("threshold", "test")]
    threshold, test = (set(half.items.labels.tolist()) for half in halves)
    assert (threshold, test) == ({5, 7}, {4, 6})
    joined = np.sort(np.concatenate([half.items.ids for half in halves]))
    np.testing.assert_array_equal(joined, np.sort(originals(store).items.ids))
    for half in halves:
        ids = store.index["image_id"].to_numpy(dtype=str)[half.rows]
        np.testing.assert_array_equal(ids, half.items.ids[half.row_image])


def test_a_single_class_is_for_the_test_alone(store_root):
    write_unknown(store_root)
    folder = store_root / "unknown"
    one = np.load(folder / "labels.npy") == 6
    for name in ("images", "labels"):
        np.save(folder / f"{name}.npy", np.load(folder / f"{name}.npy")[one])
    pd.read_csv(folder / "index.csv")[one].to_csv(folder / "index.csv", index=False)
    store = Store.open(folder)
    assert unknown_images(store, "threshold") is None
    assert set(unknown_images(store, "test").items.labels) == {6}
