import numpy as np
import pytest

from twinfolio.assessment.examples import choose_queries, examples
from twinfolio.assessment.images import join, originals
from twinfolio.data.store import Store
from twinfolio.retrieval.ranking import rank


@pytest.mark.parametrize(
    ("n_right", "n_wrong", "n", "expected"), [(10, 10, 8, 4), (10, 2, 8, 2), (3, 10, 8, 5), (1, 1, 8, 1)]
)
def test_half_of_the_shown_queries_failed_where_there_are_enough(n_right, n_wrong, n, expected):
    right = np.random.default_rng(0).permutation(np.repeat([True, False], [n_right, n_wrong]))
    chosen = choose_queries(right, n)
    assert len(chosen) == len(set(chosen)) == min(n, n_right + n_wrong)
    assert (~right[chosen]).sum() == expected
    assert (np.diff(chosen) > 0).all()


def test_pictures_are_those_of_the_named_images(store_root):
    train, val = Store.open(store_root / "train"), Store.open(store_root / "val")
    queries, gallery = originals(val), join(originals(train), originals(val))
    scores = np.random.default_rng(0).normal(size=(len(queries), len(gallery)))
    for row in examples(rank(scores, k=5), queries, gallery, val, [train, val], 6):
        for answer in row:
            store = val if answer.image_id in set(val.index["image_id"]) else train
            first = store.index.index[(store.index["image_id"] == answer.image_id) & (store.index["copy"] == 0)][0]
            np.testing.assert_array_equal(answer.image, store.images[first])
