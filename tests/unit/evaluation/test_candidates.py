from __future__ import annotations

import numpy as np
import pytest

from twinfolio.evaluation.candidates import Candidates, EqualPairs, JudgedPairs


def listed(pairs):
    return sorted(zip(pairs.place.tolist(), pairs.column.tolist(), pairs.gain.tolist(), strict=True))


def test_equal_names_are_listed_for_the_asked_queries_only():
    pairs = EqualPairs(["a", "b", "c", "a"], ["b", "a", "a"])
    assert pairs.counts.tolist() == [2, 1, 0, 2]
    assert listed(pairs.of(np.array([3, 1]))) == [(0, 1, 1.0), (0, 2, 1.0), (1, 0, 1.0)]
    assert listed(pairs.of(np.array([2]))) == []


def test_a_finer_name_is_worth_more():
    pairs = EqualPairs(["a", "b"], ["a", "a", "b"], (["a/1", "b/1"], ["a/2", "a/1", "b/2"]), finer_gain=3)
    assert listed(pairs.of(np.arange(2))) == [(0, 0, 1.0), (0, 1, 3.0), (1, 2, 1.0)]


def test_judged_pairs_keep_their_gains_in_any_order():
    pairs = JudgedPairs([2, 0, 2], [5, 1, 3], [1, 2, 0.5], 3)
    assert pairs.counts.tolist() == [1, 0, 2]
    assert listed(pairs.of(np.array([2, 1, 0]))) == [(0, 3, 0.5), (0, 5, 1.0), (2, 1, 2.0)]


@pytest.mark.parametrize(
    ("rows", "columns", "gains", "message"),
    [
        ([0], [0], [0], "above 0"),
        ([0], [0], [np.nan], "above 0"),
        ([2], [0], [1], "out of range"),
        ([0], [-1], [1], "out of range"),
        ([0, 0], [1, 1], [1, 2], "judged twice"),
        ([0, 1], [1], [1], "lengths differ"),
    ],
)
def test_judgements_that_make_no_sense_are_refused(rows, columns, gains, message):
    with pytest.raises(ValueError, match=message):
        JudgedPairs(rows, columns, gains, 2)


def test_a_barred_pair_is_listed_once_and_is_not_relevant():
    names = np.array(["a", "a", "b"])
    groups = np.array(["1", "2", "2"])
    barred = (EqualPairs(names, names), EqualPairs(groups, groups))
    everyone = Candidates.by_name(EqualPairs([1, 1, 1], [1, 1, 1]), barred, names, names)
    relevant, out = everyone.of(np.array([0, 1]))
    assert listed(relevant) == [(0, 2, 1.0)]
    assert listed(out) == [(0, 0, 1.0), (0, 1, 1.0), (1, 0, 1.0), (1, 1, 1.0), (1, 2, 1.0)]


def test_tiles_hold_few_queries_and_few_pairs_but_at_least_one_query():
    labels = np.repeat([0, 1, 2], [5, 1, 2])
    everyone = Candidates.by_name(EqualPairs(labels, labels), (), labels, labels)
    assert [len(tile) for tile in everyone.tiles(4, 1000)] == [4, 4]
    assert [len(tile) for tile in everyone.tiles(4, 10)] == [2, 2, 4]
    assert [len(tile) for tile in everyone.tiles(4, 3)] == [1, 1, 1, 1, 1, 2, 1]
    assert np.concatenate(everyone.tiles(3, 7)).tolist() == list(range(8))


def test_lists_that_do_not_fit_the_queries_or_the_gallery_are_refused():
    with pytest.raises(ValueError, match="lengths differ"):
        Candidates.by_name(JudgedPairs([0], [0], [1], 1), (), np.arange(2), np.arange(2))
    beyond = Candidates.by_name(JudgedPairs([0], [2], [1], 2), (), np.arange(2), np.arange(2))
    with pytest.raises(ValueError, match="gallery row 2 of 2"):
        beyond.of(np.arange(2))
