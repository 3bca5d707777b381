import numpy as np
import pytest

from twinfolio.data.family_batches import FamilyBatches, FamilyEpisodes, class_families
from twinfolio.errors import DataError

# families of 10, 6 and 4 classes of 5 images
FAMILIES = np.repeat(["a", "b", "c"], [10, 6, 4])
LABELS = np.repeat(np.arange(20), 5)
SOURCES = np.arange(100)


def batches(within, p=8, steps=200, **changes):
    settings = {"classes_per_batch": p, "images_per_class": 3, "steps": steps, "seed": 0}
    return FamilyBatches(LABELS, SOURCES, families=FAMILIES, within=within, **settings | changes)


def episodes(**changes):
    settings = {"classes_per_batch": 8, "steps": 60, "seed": 0}
    return FamilyEpisodes(LABELS, SOURCES, families=FAMILIES, **settings | changes)


def test_a_family_is_what_stands_before_the_first_slash():
    assert class_families(["Greek/alpha", "Greek/beta", "Norse@90/fehu"]).tolist() == ["Greek", "Greek", "Norse@90"]
    assert len(set(class_families(["alif", "ba"]))) == 1


@pytest.mark.parametrize("within", [0.0, 0.5, 0.75, 1.0])
def test_a_share_of_the_classes_is_of_one_family(within):
    for rows in batches(within):
        classes, counts = np.unique(LABELS[rows], return_counts=True)
        assert (len(classes), set(counts)) == (8, {3})
        assert len(set(rows)) == 24
        most = np.unique(FAMILIES[classes], return_counts=True)[1].max()
        assert most >= min(round(within * 8), 4)


def test_families_come_up_by_their_number_of_classes_and_classes_nearly_alike():
    drawn = [np.unique(LABELS[rows]) for rows in batches(0.5, steps=400)]
    visits = np.bincount(np.concatenate(drawn), minlength=20) / (400 * 8 / 20)
    assert visits.min() > 0.85
    assert visits.max() < 1.15


def test_without_a_share_of_its_own_families_mix():
    assert np.mean([len(set(FAMILIES[LABELS[rows]])) for rows in batches(0.0)]) > 2.5


def test_an_epoch_is_the_same_again_and_another_one_differs():
    one = batches(0.5, steps=5)
    first, again = [list(one) for _ in range(2)]
    one.set_epoch(1)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, list(one), strict=True))


def test_each_anchor_has_a_twin_and_another_letter_of_its_alphabet():
    seen = []
    for rows in episodes():
        anchors, twins, others = np.split(LABELS[rows], 3)
        assert len(anchors) == 8
        assert (anchors == twins).all()
        assert (anchors != others).all()
        assert len(set(FAMILIES[LABELS[rows]])) == 1
        assert (rows[:8] != rows[8:16]).all()
        seen.append(FAMILIES[anchors[0]])
    assert [seen.count(name) for name in "abc"] == [20, 20, 20]


def test_anchors_are_dealt_over_the_familys_classes():
    for rows in episodes(classes_per_batch=12):
        counts = np.unique(LABELS[rows[:12]], return_counts=True)[1]
        assert counts.max() - counts.min() <= 1


def test_a_family_of_one_class_is_refused():
    with pytest.raises(DataError, match="alone: one class"):
        FamilyEpisodes(LABELS, SOURCES, families=np.array(["a"] * 19 + ["alone"]), classes_per_batch=8, steps=1, seed=0)
