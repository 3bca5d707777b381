import numpy as np
import pytest

from twinfolio.data.judged_split import (
    GAP,
    UNANSWERED,
    answers,
    draw_pairs,
    shared_places,
    split_queries,
    walked_places,
)
from twinfolio.errors import DataError

SHARES = (0.6, 0.2, 0.2)
WALK = np.abs(np.subtract.outer(np.arange(100), np.arange(100))) <= 2
"""A walk of 100 frames: those up to two away are right."""


@pytest.fixture
def streets():
    """40 queries, four on each of ten streets, with three maps a street; the last query has no answer."""
    sim = np.repeat(np.repeat(np.eye(10, dtype=bool), 4, axis=0), 3, axis=1)
    sim[-1] = False
    return sim


def test_queries_that_share_an_answer_by_any_chain_are_at_one_place():
    sim = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], bool)
    assert shared_places(sim).tolist() == [0, 0, 0, 3, 4]


def test_a_walk_has_a_place_for_every_so_many_frames():
    assert walked_places(7, 3).tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_whole_places_go_to_one_split_and_unanswered_queries_to_none(streets):
    places = np.repeat(np.arange(10), 4)
    split = split_queries(streets, places, SHARES, seed=0)
    assert split[-1] == UNANSWERED
    for place in range(9):
        assert len(set(split[places == place])) == 1
    assert [len(np.unique(places[split == name])) for name in ("train", "val", "test")] == [6, 2, 2]
    np.testing.assert_array_equal(split, split_queries(streets, places, SHARES, seed=0))
    assert any((split != split_queries(streets, places, SHARES, seed=seed)).any() for seed in range(1, 5))


def test_a_query_that_shares_an_answer_with_one_held_out_is_left_out():
    split = split_queries(WALK, walked_places(100, 10), SHARES, seed=0)
    kept = {name: split == name for name in ("train", "val", "test")}
    for own, others in (("train", ["val", "test"]), ("val", ["test"])):
        assert not (WALK[kept[own]].any(axis=0) & answers(WALK, split, others)).any()
    assert 0 < (split == GAP).sum() < 40
    # no training frame within four of one held out: both would show the frame between them
    apart = np.abs(np.subtract.outer(np.flatnonzero(kept["train"]), np.flatnonzero(kept["val"] | kept["test"])))
    assert apart.min() > 4


def test_pairs_are_balanced_within_each_query_and_drawn_anew_by_seed(streets):
    split = split_queries(streets, np.repeat(np.arange(10), 4), SHARES, seed=0)
    pairs = draw_pairs(streets, split, seed=0)
    assert set(pairs["query"]) == set(np.flatnonzero(np.isin(split, ["train", "val", "test"])))
    assert not pairs.duplicated(["query", "map"]).any()
    for query, own in pairs.groupby("query"):
        assert set(own["split"]) == {split[query]}
        assert streets[query, own["map"]].sum() * 2 == len(own) == 6
    assert draw_pairs(streets, split, seed=0).equals(pairs)
    assert not draw_pairs(streets, split, seed=1).equals(pairs)


def test_negatives_are_drawn_evenly_over_the_maps(streets):
    split = split_queries(streets, np.repeat(np.arange(10), 4), SHARES, seed=0)
    drawn = []
    for seed in range(60):
        pairs = draw_pairs(streets, split, seed)
        drawn.append(pairs["map"][(pairs["split"] == "test") & ~streets[pairs["query"], pairs["map"]]])
    counts = np.bincount(np.concatenate(drawn), minlength=30)
    # a map of a test street is no negative of that street's own queries: half of the draws pass it by
    assert counts.min() > 0.3 * counts.mean()


@pytest.mark.parametrize("places", [np.arange(100), walked_places(100, 10)])
def test_training_sees_no_map_that_answers_a_query_held_out(places):
    split = split_queries(WALK, places, (0.8, 0.1, 0.1), seed=3)
    pairs = draw_pairs(WALK, split, seed=0)
    seen = {name: set(own["map"]) for name, own in pairs.groupby("split")}
    assert not seen["train"] & set(np.flatnonzero(answers(WALK, split, ["val", "test"])))
    assert not seen["val"] & set(np.flatnonzero(answers(WALK, split, ["test"])))


def test_a_query_with_more_answers_than_other_maps_gives_as_many_of_each():
    sim = np.zeros((3, 12), bool)
    sim[0, 0], sim[1, 2], sim[2, 4:] = True, True, True
    own = draw_pairs(sim, np.array(["train", "val", "test"]), 0).query("split == 'test'")
    assert sim[2, own["map"]].sum() == 4
    assert len(own) == 8


def test_a_split_without_a_pair_is_one_line():
    with pytest.raises(DataError, match="train has no pairs of both kinds"):
        draw_pairs(np.ones((3, 4), bool), np.array(["train", "val", "test"]), 0)


@pytest.mark.parametrize("places", [np.zeros(40, int), np.repeat([0, 1], 20)])
def test_too_few_places_for_three_splits_is_one_line(streets, places):
    with pytest.raises(DataError, match=r"39 queries with an answer at [12] places leave none for"):
        split_queries(streets, places, SHARES, seed=0)
