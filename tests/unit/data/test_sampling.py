import numpy as np
import pytest

from twinfolio.data.dealing import Deck, class_schedule, share_out
from twinfolio.data.sampling import EpisodeBatches, PairBatches, PKBatches, ShardBatches, ShuffledBatches
from twinfolio.errors import DataError


def table(images_per_class, copies=2):
    """Labels and sources of a store whose images each have ``copies`` rows."""
    labels = np.repeat(np.arange(len(images_per_class)), images_per_class)
    return np.repeat(labels, copies).astype(np.int64), np.repeat(np.arange(len(labels)), copies)


def epoch_of(batches, epoch):
    batches.set_epoch(epoch)
    return list(batches)


def pk(images_per_class, *, p=3, k=4, steps=None, seed=0, rank=0, world=1, copies=2):
    labels, sources = table(images_per_class, copies)
    batches = PKBatches(
        labels, sources, classes_per_batch=p, images_per_class=k, steps=steps, seed=seed, rank=rank, world=world
    )
    return batches, labels, sources


@pytest.mark.parametrize("sizes", [(9, 9, 9, 9), (30, 3, 5, 2, 17), (2, 2)])
def test_a_batch_has_p_classes_of_k_images_and_never_two_rows_of_one_image(sizes):
    batches, labels, sources = pk(sizes, steps=20)
    for rows in epoch_of(batches, 3):
        assert len(set(sources[rows])) == len(rows)
        classes, counts = np.unique(labels[rows], return_counts=True)
        assert len(classes) == min(3, len(sizes))
        assert list(counts) == [min(4, sizes[c]) for c in classes]


def test_a_class_with_one_image_is_left_out():
    batches, labels, _ = pk((5, 1, 5), steps=10)
    assert {int(c) for rows in epoch_of(batches, 0) for c in labels[rows]} == {0, 2}


def test_fewer_than_two_classes_with_pairs_are_refused():
    with pytest.raises(DataError, match="1 classes have two or more"):
        pk((5, 1))


def test_images_of_a_class_are_seen_evenly_within_an_epoch():
    batches, _, sources = pk((11, 11, 11, 11), p=2, k=4, steps=37)
    seen = np.bincount(np.concatenate([sources[rows] for rows in epoch_of(batches, 0)]), minlength=44).reshape(4, 11)
    assert (seen.max(axis=1) - seen.min(axis=1)).max() <= 1
    assert seen.sum() == 37 * 2 * 4


def test_classes_are_visited_in_proportion_to_their_rows():
    batches, labels, _ = pk((40, 20, 20, 20, 20), p=2, k=2, steps=60)
    visits = np.bincount(np.concatenate([labels[rows] for rows in epoch_of(batches, 0)])) / 2
    assert np.allclose(visits, [40, 20, 20, 20, 20], atol=1)


def test_every_copy_is_drawn_at_some_time():
    batches, labels, _ = pk((6, 6), steps=60)
    assert set(np.concatenate(epoch_of(batches, 0))) == set(range(len(labels)))


@pytest.mark.parametrize("kind", ["pk", "episodes", "shuffled"])
def test_batches_are_a_function_of_seed_epoch_and_rank(kind):
    def make(seed=0, rank=0):
        labels, sources = table((8, 8, 8))
        if kind == "shuffled":
            return ShuffledBatches(len(labels), 8, seed=seed, rank=rank, world=2)
        shared = {"classes_per_batch": 2, "steps": 5, "seed": seed, "rank": rank, "world": 2}
        if kind == "episodes":
            return EpisodeBatches(labels, sources, **shared)
        return PKBatches(labels, sources, images_per_class=3, **shared)

    def flat(batches, epoch):
        return np.concatenate(epoch_of(batches, epoch)).tolist()

    resumed = make()
    assert flat(make(), 4) == flat(resumed, 4)
    assert flat(resumed, 4) == flat(resumed, 4)
    others = [flat(make(), 5), flat(make(seed=1), 4), flat(make(rank=1), 4)]
    assert all(other != flat(make(), 4) for other in others)


@pytest.mark.parametrize("sizes", [(12, 12, 12, 12), (40, 7, 3, 2, 2)])
def test_no_image_is_on_two_ranks_in_one_epoch(sizes):
    seen = []
    for rank in range(3):
        batches, _, sources = pk(sizes, steps=30, rank=rank, world=3)
        seen.append({int(s) for rows in epoch_of(batches, 2) for s in sources[rows]})
    assert all(seen[a].isdisjoint(seen[b]) for a in range(3) for b in range(a))


def test_a_rank_without_two_classes_to_pair_is_refused():
    batches, _, _ = pk((2, 2), world=4)
    with pytest.raises(DataError, match="4 devices"):
        [epoch_of(batches, epoch) for epoch in range(20)]


def test_steps_default_to_one_pass_over_the_rows():
    batches, labels, _ = pk((10, 10, 10), p=3, k=4)
    assert len(batches) == len(epoch_of(batches, 0)) == -(-len(labels) // 12)


def test_shuffled_batches_hold_every_row_once_over_all_ranks():
    parts = [epoch_of(ShuffledBatches(22, 4, seed=1, rank=rank, world=2), 3) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) == 3
    rows = np.concatenate(parts[0] + parts[1])
    assert sorted(rows) == list(range(22))
    assert rows.tolist() != sorted(rows)


def test_shuffled_batches_leave_out_a_lonely_last_row():
    assert [len(rows) for rows in ShuffledBatches(9, 4, seed=0)] == [4, 4]
    assert [len(rows) for rows in ShuffledBatches(3, 4, seed=0)] == [3]


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shards_cover_all_rows_in_equal_numbers_of_steps(world):
    parts = [list(ShardBatches(13, 2, rank=rank, world=world)) for rank in range(world)]
    assert len({tuple(len(rows) for rows in part) for part in parts}) == 1
    assert set(np.concatenate([np.concatenate(part) for part in parts])) == set(range(13))


def test_episodes_have_a_twin_and_a_stranger_for_each_anchor():
    labels, sources = table((5, 2, 8, 1))
    for rows in epoch_of(EpisodeBatches(labels, sources, classes_per_batch=8, steps=25, seed=0), 0):
        anchors, positives, negatives = rows.reshape(3, -1)
        assert sorted(labels[anchors]) == [0, 1, 2]
        assert (labels[anchors] == labels[positives]).all()
        assert (sources[anchors] != sources[positives]).all()
        assert (labels[anchors] != labels[negatives]).all()


def test_schedule_visits_add_up_and_never_repeat_a_class_in_a_step():
    weights = np.array([100.0, 1, 1, 1, 1, 5])
    steps = [set(chosen.tolist()) for chosen in class_schedule(weights, 3, 50, np.random.default_rng(0))]
    assert len(steps) == 50
    assert all(len(step) == 3 for step in steps)
    assert sum(0 in step for step in steps) == 50


def test_a_deck_deals_different_images_across_its_own_end():
    deck, rng = Deck(np.arange(5)), np.random.default_rng(0)
    hands = [deck.draw(3, rng) for _ in range(50)]
    assert all(len(set(hand)) == 3 for hand in hands)
    assert np.ptp(np.bincount(np.concatenate(hands))) <= 1


@pytest.mark.parametrize(("images", "world"), [(2, 4), (5, 2), (9, 4), (100, 3)])
def test_shares_are_disjoint_and_hold_at_least_two(images, world):
    shares = share_out(np.arange(images), world, np.random.default_rng(0))
    assert len(shares) == world
    assert sorted(np.concatenate(shares)) == list(range(images))
    assert all(len(share) != 1 for share in shares)


def test_pairs_are_all_drawn_once_over_all_ranks_queries_before_their_partners():
    pairs = np.stack([np.arange(10), np.arange(10) + 50], axis=1)
    drawn = []
    for rank in range(2):
        for batch in PairBatches(pairs, 3, seed=0, rank=rank, world=2):
            first, second = np.split(batch, 2)
            np.testing.assert_array_equal(second, first + 50)
            drawn += first.tolist()
    assert sorted(drawn) == list(range(10))
