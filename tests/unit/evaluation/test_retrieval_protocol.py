from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from twinfolio.errors import DataError
from twinfolio.evaluation.candidates import EqualPairs, JudgedPairs
from twinfolio.evaluation.retrieval_protocol import (
    Items,
    average_rows,
    average_tiles,
    candidates,
    exclusions,
    leave_one_out,
    owners,
    relevance,
    retrieval_protocol,
    with_two_groups,
)


def items(rows):
    return Items(*(np.array(column) for column in zip(*rows, strict=True)))


QUERY = items([("q1", "a", "a/1", "q1"), ("q2", "b", "b/1", "g4")])
GALLERY = items(
    [
        ("g1", "a", "a/1", "g1"),
        ("g2", "a", "a/2", "g2"),
        ("q1", "a", "a/1", "q1"),
        ("g4", "b", "b/2", "g4"),
        ("g5", "b", "b/3", "g5"),
    ]
)


def test_only_the_image_itself_is_barred_where_its_own_group_is_included():
    assert exclusions(QUERY, GALLERY, "included").tolist() == [
        [False, False, True, False, False],
        [False, False, False, False, False],
    ]


def test_its_duplicates_and_its_own_group_are_barred_too_where_it_is_excluded():
    assert exclusions(QUERY, GALLERY, "excluded").tolist() == [
        [True, False, True, False, False],
        [False, False, False, True, False],
    ]


@pytest.mark.parametrize("own_group", ["included", "excluded"])
def test_the_listed_pairs_are_those_of_the_masks(own_group):
    relevant, barred = candidates(QUERY, GALLERY, own_group).of(np.arange(2))
    flags = np.zeros((2, 5), bool)
    flags[barred.place, barred.column] = True
    assert flags.tolist() == exclusions(QUERY, GALLERY, own_group).tolist()
    flags[:] = False
    flags[relevant.place, relevant.column] = True
    allowed = relevance(QUERY, GALLERY) & ~exclusions(QUERY, GALLERY, own_group)
    assert flags.tolist() == allowed.tolist()


def test_grades_by_group_or_by_judgement_change_ndcg_and_not_map():
    scores = np.array([[1.0, 5.0, 0.0, 2.0, 2.0], [0.0, 0.0, 0.0, 3.0, 2.0]])
    finer = EqualPairs(QUERY.labels, GALLERY.labels, (QUERY.groups, GALLERY.groups))
    plain, graded = (
        retrieval_protocol(scores, QUERY, GALLERY, "included", judged=judged).metrics.per_query
        for judged in (None, finer)
    )
    assert graded["mAP"].tolist() == plain["mAP"].tolist()
    assert graded["nDCG"][0] < plain["nDCG"][0], "the page of gain 2 stands last"
    judged = JudgedPairs([0, 0], [3, 4], [1.0, 3.0], 2)
    own = retrieval_protocol(scores, QUERY, GALLERY, judged=judged).metrics
    assert own.n_relevant.tolist() == [2, 0]
    assert own.per_query["mAP"][0] == pytest.approx((1 / 2 + 2 / 3) / 2), "behind g2, of the query's class"


def test_a_leaking_page_raises_the_score_only_where_its_group_is_included():
    scores = np.array([[9.0, 1.0, 10.0, 5.0, 4.0], [1.0, 2.0, 3.0, 9.0, 8.0]])
    included = retrieval_protocol(scores, QUERY, GALLERY, "included")
    excluded = retrieval_protocol(scores, QUERY, GALLERY, "excluded")
    assert included.metrics.per_query["P@1"].tolist() == [1, 1]
    assert excluded.metrics.per_query["P@1"].tolist() == [0, 1]
    assert excluded.metrics.n_relevant.tolist() == [1, 1]


def test_numeric_labels_and_names_of_other_lengths_compare_by_value():
    left = items([("q", 3, "long-group-name", "q")])
    right = items([("a", 3, "long-group", "a"), ("b", 4, "long-group-name", "b")])
    assert relevance(left, right).tolist() == [[True, False]]
    assert exclusions(left, right, "excluded").tolist() == [[False, True]]


def test_leave_one_out_takes_queries_of_classes_with_two_groups_only():
    split = items(
        [
            ("1", "a", "a/1", "1"),
            ("2", "a", "a/1", "2"),
            ("3", "a", "a/2", "3"),
            ("4", "b", "b/1", "4"),
            ("5", "b", "b/1", "5"),
        ]
    )
    assert with_two_groups(split).tolist() == [True, True, True, False, False]
    result = leave_one_out(np.eye(5), split)
    assert result.queries.ids.tolist() == ["1", "2", "3"]
    assert result.metrics.n_relevant.tolist() == [1, 1, 2]
    assert leave_one_out(np.eye(2), split.take([3, 4])) is None


def test_tables_have_a_row_a_query_and_a_row_a_class_that_counts():
    lonely = items([("q3", "c", "c/1", "q3")])
    result = retrieval_protocol(np.ones((3, 5)), QUERY.join(lonely), GALLERY)
    assert result.per_query()["query"].tolist() == ["q1", "q2", "q3"]
    assert result.per_class()["label"].tolist() == ["a", "b"]
    assert result.per_class()["queries"].tolist() == [1, 1]
    assert result.metrics.n_empty == 1


def test_items_come_from_a_table_and_must_be_unique():
    frame = pd.DataFrame({"image_id": ["x", "y"], "label": ["a", "b"], "group": ["g", "g"], "cluster": ["x", "y"]})
    assert Items.of(frame).ids.tolist() == ["x", "y"]
    with pytest.raises(ValueError, match="unique"):
        Items.of(frame.iloc[[0, 0]])


def test_tiles_are_averaged_over_both_images():
    query_owner, first = owners(["b", "b", "a"])
    assert query_owner.tolist() == [0, 0, 1]
    assert first.tolist() == [0, 2]
    gallery_owner = np.array([0, 1, 0])
    scores = np.arange(9.0).reshape(3, 3)
    slow = [
        [
            np.mean([scores[s, t] for s in range(3) for t in range(3) if query_owner[s] == q and gallery_owner[t] == g])
            for g in range(2)
        ]
        for q in range(2)
    ]
    np.testing.assert_allclose(average_tiles(scores, query_owner, gallery_owner), slow)


def test_one_tile_an_image_leaves_scores_bit_for_bit():
    scores = np.random.default_rng(0).normal(size=(4, 6))
    assert (average_tiles(scores, np.arange(4), np.arange(6)[::-1]) == scores[:, ::-1]).all()


def test_an_image_without_tiles_is_a_data_error():
    with pytest.raises(DataError, match="image 1 has no tile"):
        average_rows(np.zeros((2, 2)), [0, 2])


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="2 queries"):
        retrieval_protocol(np.zeros((3, 3)), QUERY, GALLERY)
