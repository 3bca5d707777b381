import numpy as np
import pytest

from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.images import join, originals
from twinfolio.assessment.planted import plant_copies, planted_scores
from twinfolio.assessment.systems import System
from twinfolio.data.store import Store
from twinfolio.errors import DataError
from twinfolio.evaluation.baselines import cosine_scores
from twinfolio.sample.planted import KINDS, plant


def pixels(images):
    return images.reshape(len(images), -1).astype(np.float32) - 110


PIXELS = System("pixels", pixels, cosine_scores)


@pytest.fixture
def parts(store_root):
    stores = {split: Store.open(store_root / split) for split in ("train", "val")}
    return stores, {split: originals(store) for split, store in stores.items()}


@pytest.fixture
def gallery(parts):
    stores, of = parts
    vectors = [embed_originals(PIXELS, stores[split].images, of[split], split) for split in of]
    return join(of["train"], of["val"]), np.concatenate(vectors)


def test_every_drawn_image_is_copied_once_in_each_way_row_by_row(parts):
    store, of = parts[0]["val"], parts[1]["val"]
    planted = plant_copies(store, of, 7, seed=0)
    assert len(planted.copies) == 7 * len(KINDS)
    assert len(set(planted.originals)) == 7
    for copy in range(len(planted.copies)):
        original = int(np.flatnonzero(of.items.ids == planted.originals[copy])[0])
        rows = of.rows[of.row_image == original]
        expected = [plant(store.images[row], planted.kinds[copy]) for row in rows]
        np.testing.assert_array_equal(planted.images[planted.copies.row_image == copy], expected)
    tiles = np.bincount(planted.copies.row_image)
    assert set(tiles[planted.copies.items.labels == 3]) <= {2}
    assert set(tiles[planted.copies.items.labels != 3]) == {1}


def test_the_draw_is_the_seeds_and_no_larger_than_the_split(parts):
    store, of = parts[0]["val"], parts[1]["val"]
    first, again, other = (plant_copies(store, of, 5, seed).originals for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)
    assert len(plant_copies(store, of, 10_000, seed=0).copies) == len(of) * len(KINDS)


def test_a_copy_keeps_its_originals_group_and_has_an_id_of_its_own(parts):
    planted = plant_copies(parts[0]["val"], parts[1]["val"], 6, seed=0)
    items = planted.copies.items
    assert not set(items.ids) & set(parts[1]["val"].items.ids)
    assert {group.split("/")[0] for group in items.groups} <= {"alif", "ba", "ta", "tha"}
    assert all(original.startswith(group) for original, group in zip(planted.originals, items.groups, strict=True))


def test_copies_score_highest_with_their_originals(parts, gallery):
    planted = plant_copies(parts[0]["val"], parts[1]["val"], 8, seed=0, kinds=("recompressed", "faded"))
    scores = planted_scores(PIXELS, planted, *gallery)
    assert scores.scores.shape == (16, len(gallery[0]))
    found = gallery[0].items.ids[scores.originals]
    np.testing.assert_array_equal(found, planted.originals)
    assert scores.first().mean() > 0.9


def test_known_duplicates_of_the_original_are_barred_and_it_is_not(parts, gallery):
    of = parts[1]["val"]
    twin = of.items.ids == of.items.ids[1]
    of.items.clusters[twin] = of.items.clusters[0]
    whole = join(parts[1]["train"], of)
    scores = planted_scores(PIXELS, plant_copies(parts[0]["val"], of, len(of), seed=0), whole, gallery[1])
    barred = {(whole.items.ids[scores.originals[q]], whole.items.ids[m]) for q, m in np.argwhere(scores.barred)}
    assert barred == {(of.items.ids[0], of.items.ids[1]), (of.items.ids[1], of.items.ids[0])}


def test_an_original_must_be_in_the_gallery(parts):
    planted = plant_copies(parts[0]["val"], parts[1]["val"], 2, seed=0)
    train = parts[1]["train"]
    with pytest.raises(DataError, match="unknown image"):
        planted_scores(PIXELS, planted, train, np.zeros((len(train.rows), 8 * 8 * 3), np.float32))
