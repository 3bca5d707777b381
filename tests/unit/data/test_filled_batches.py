import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.data.filled_batches import FilledBatches
from twinfolio.errors import DataError

SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=30)


def rows_of(sizes, copies=1):
    """Labels and sources of classes of so many images, each with so many rows."""
    images = np.repeat(np.arange(len(sizes)), sizes)
    return np.repeat(images, copies), np.repeat(np.arange(len(images)), copies)


def batches(sizes, copies=1, **settings):
    labels, sources = rows_of(sizes, copies)
    settings = {"classes_per_batch": 4, "images_per_class": 4, "seed": 0} | settings
    return FilledBatches(labels, sources, **settings), labels, sources


@settings(max_examples=50, deadline=None)
@given(SIZES, st.integers(1, 3))
def test_batches_are_full_and_hold_no_image_twice_but_lone_ones(sizes, copies):
    made, labels, sources = batches(sizes, copies, steps=5)
    alone = {label for label, size in enumerate(sizes) if size == 1}
    for batch in made:
        assert len(batch) == 16 or set(labels[batch]) == set(range(len(sizes)))  # full, or all there is
        images, counts = np.unique(sources[batch], return_counts=True)
        for image, count in zip(images, counts, strict=True):
            label = labels[np.flatnonzero(sources == image)[0]]
            assert count == 1 or (count == 2 and label in alone)


@settings(max_examples=30, deadline=None)
@given(SIZES)
def test_every_image_is_seen_within_two_passes(sizes):
    made, _, sources = batches(sizes)
    seen = set()
    for epoch in range(2):
        made.set_epoch(epoch)
        seen |= {int(source) for batch in made for source in sources[batch]}
    assert len(seen) > 0.6 * len(set(sources.tolist()))


def test_the_same_seed_and_epoch_give_the_same_batches():
    one, two = (batches([1, 2, 3, 5, 8], steps=6)[0] for _ in range(2))
    one.set_epoch(3)
    two.set_epoch(3)
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in two]


def test_a_class_of_one_image_gives_two_views_of_it():
    made, _, sources = batches([1] * 40, steps=3)
    for batch in made:
        assert len(batch) == 16
        assert (np.unique(sources[batch], return_counts=True)[1] == 2).all()


def test_few_classes_give_more_images_each():
    made, labels, _ = batches([30, 30], steps=3)
    for batch in made:
        assert np.bincount(labels[batch]).tolist() == [8, 8]


def test_ranks_share_no_image():
    made = [batches([1, 2, 3, 4, 5, 6], steps=4, rank=rank, world=2) for rank in range(2)]
    seen = [{int(source) for batch in one for source in sources[batch]} for one, _, sources in made]
    assert not seen[0] & seen[1]


def test_one_class_is_refused():
    with pytest.raises(DataError, match="one class"):
        batches([5])
