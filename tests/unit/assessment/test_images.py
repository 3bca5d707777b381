import numpy as np
import pytest

from twinfolio.assessment.images import barred_images, first_answers, image_scores, image_values, join, originals
from twinfolio.data.store import Store
from twinfolio.evaluation.retrieval_protocol import Items, exclusions
from twinfolio.retrieval.ranking import rank


def test_originals_leave_copies_out_and_keep_every_tile(store_root):
    store = Store.open(store_root / "train")
    of = originals(store)
    assert len(of) == 4 * 3 * 3
    assert len(of.rows) == 3 * 9 + 2 * 9
    assert (store.index["copy"].to_numpy()[of.rows] == 0).all()
    assert (store.index["image_id"].to_numpy()[of.rows] == of.items.ids[of.row_image]).all()
    assert (store.labels[of.rows] == of.items.labels[of.row_image]).all()


def test_joined_rows_belong_to_their_own_images(store_root):
    train, val = (originals(Store.open(store_root / split)) for split in ("train", "val"))
    both = join(train, val)
    ids = np.concatenate([train.items.ids[train.row_image], val.items.ids[val.row_image]])
    assert (both.items.ids[both.row_image] == ids).all()
    assert both.within_group.sum() == 6


def test_scores_of_tiled_images_are_the_mean_over_all_pairs_of_tiles(store_root):
    val = originals(Store.open(store_root / "val"))
    rows = np.random.default_rng(0).normal(size=(len(val.rows), len(val.rows)))
    slow = np.array(
        [
            [rows[np.ix_(val.row_image == i, val.row_image == j)].mean() for j in range(len(val))]
            for i in range(len(val))
        ]
    )
    vectors = np.arange(len(val.rows), dtype=np.float32)[:, None]

    def pairwise(x, y):
        return rows[np.ix_(x[:, 0].astype(int), y[:, 0].astype(int))]

    scores = image_scores(pairwise, vectors, val, vectors, val)
    everything = np.arange(len(val))
    np.testing.assert_allclose(scores(everything, everything), slow, rtol=1e-5, atol=1e-6)
    some, others = np.array([3, 20, 1]), np.array([21, 0])
    np.testing.assert_allclose(scores(some, others), slow[np.ix_(some, others)], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(image_values(rows, val)[-1], rows[val.row_image == len(val) - 1].mean(axis=0))


def test_the_first_row_of_an_image_is_its_tile_zero(store_root):
    store = Store.open(store_root / "val")
    of = originals(store)
    for image in (0, len(of) - 1):
        row = store.index.iloc[of.first_row(image)]
        assert (row["image_id"], row["tile"]) == (of.items.ids[image], 0)


def test_first_answers_are_those_of_the_whole_matrix_whatever_the_block(store_root, monkeypatch):
    train, val = (originals(Store.open(store_root / split)) for split in ("train", "val"))
    matrix = np.random.default_rng(1).integers(0, 5, (len(val), len(train))).astype(np.float32)

    def scores(rows, columns):
        return matrix[np.ix_(rows, columns)]

    whole = rank(matrix, exclusions(val.items, train.items, "excluded"), 7)
    for cells in (1, 5 * len(train), 10**6):
        monkeypatch.setattr("twinfolio.assessment.images._BLOCK_CELLS", cells)
        found = first_answers(scores, val.items, train.items, 7)
        np.testing.assert_array_equal(found.ids, whole.ids)
        np.testing.assert_array_equal(found.scores, whole.scores)


@pytest.mark.parametrize("own_group", ["included", "excluded"])
def test_barred_images_are_the_exclusions_as_lists(own_group):
    rng = np.random.default_rng(0)

    def items(n, prefix):
        ids = np.array([f"{prefix}{i}" for i in range(n)])
        return Items(
            ids, rng.integers(3, size=n), rng.integers(6, size=n).astype(str), rng.integers(20, size=n).astype(str)
        )

    queries, gallery = items(12, "q"), items(30, "g").join(items(3, "q"))
    expected = exclusions(queries, gallery, own_group)
    assert [rows.tolist() for rows in barred_images(queries, gallery, own_group)] == [
        np.flatnonzero(row).tolist() for row in expected
    ]
