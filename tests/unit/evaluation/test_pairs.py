from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from twinfolio.errors import DataError
from twinfolio.evaluation.pairs import build_pairs, pair_groups, pair_scores
from twinfolio.evaluation.retrieval_protocol import Items


def make(prefix, n, seed, n_classes=5, n_groups=4):
    generator = np.random.default_rng(seed)
    labels = np.array([f"class{c}" for c in generator.integers(n_classes, size=n)])
    groups = np.array(
        [f"{label}/{page}" for label, page in zip(labels, generator.integers(n_groups, size=n), strict=True)]
    )
    ids = np.array([f"{prefix}{i:03d}" for i in range(n)])
    clusters = ids.copy()
    clusters[:4] = "shared"  # duplicates over query and archive
    return Items(ids, labels, groups, clusters)


QUERY, ARCHIVE = make("q", 30, 0), make("a", 120, 1)


def lookup(items, names):
    return (
        pd.DataFrame({"label": items.labels, "group": items.groups, "cluster": items.clusters}, index=items.ids)
        .loc[names]
        .reset_index(drop=True)
    )


def test_labels_are_true_and_no_pair_shares_a_group_or_duplicate():
    pairs, _ = build_pairs(QUERY, ARCHIVE, 6)
    left, right = lookup(QUERY, pairs["query"]), lookup(ARCHIVE, pairs["archive"])
    assert ((left["label"] == right["label"]).astype(int) == pairs["label"]).all()
    assert (left["group"] != right["group"]).all()
    assert (left["cluster"] != right["cluster"]).all()
    assert not pairs.duplicated(["query", "archive"]).any()


def test_every_query_has_as_many_negatives_as_positives():
    pairs, counts = build_pairs(QUERY, ARCHIVE, 6)
    per_query = pairs.groupby("query")["label"].agg(["sum", "size"])
    assert (per_query["size"] == 2 * per_query["sum"]).all()
    assert per_query["sum"].max() == 6
    assert counts.positives == counts.negatives == pairs["label"].sum()
    assert counts.queries == len(per_query)


def test_the_same_images_in_another_order_give_the_same_pairs_and_another_seed_others():
    pairs, _ = build_pairs(QUERY, ARCHIVE, 3, seed=4)
    generator = np.random.default_rng(9)
    shuffled, _ = build_pairs(
        QUERY.take(generator.permutation(30)), ARCHIVE.take(generator.permutation(120)), 3, seed=4
    )
    pd.testing.assert_frame_equal(pairs, shuffled)
    assert not pairs.equals(build_pairs(QUERY, ARCHIVE, 3, seed=5)[0])


def test_negatives_are_uniform_over_classes_however_large_these_are():
    labels = np.array(["own"] * 40 + ["large"] * 400 + ["small"] * 5 + ["tiny"] * 3)
    ids = np.array([f"a{i:03d}" for i in range(len(labels))])
    archive = Items(ids, labels, ids, ids)
    query_ids = np.array([f"q{i:03d}" for i in range(60)])
    query = Items(query_ids, np.array(["own"] * 60), query_ids, query_ids)
    pairs, _ = build_pairs(query, archive, positives_per_query=3)
    negatives = lookup(archive, pairs.loc[pairs["label"] == 0, "archive"])
    assert negatives["label"].value_counts().to_dict() == {"large": 60, "small": 60, "tiny": 60}
    single, _ = build_pairs(query, archive, positives_per_query=1)
    drawn = lookup(archive, single.loc[single["label"] == 0, "archive"])["label"].value_counts()
    assert drawn.min() >= 8, "one negative a query: the class is drawn too"


def test_a_small_class_runs_out_and_the_others_go_on():
    labels = np.array(["own"] * 20 + ["large"] * 50 + ["tiny"] * 2)
    ids = np.array([f"a{i:03d}" for i in range(len(labels))])
    query = Items(np.array(["q"]), np.array(["own"]), np.array(["q"]), np.array(["q"]))
    pairs, _ = build_pairs(query, Items(ids, labels, ids, ids), positives_per_query=12)
    assert lookup(Items(ids, labels, ids, ids), pairs.loc[pairs["label"] == 0, "archive"])[
        "label"
    ].value_counts().to_dict() == {"large": 10, "tiny": 2}


def test_a_class_with_few_positives_keeps_all_of_them():
    labels = np.array(["rare"] * 6 + ["common"] * 60)
    ids = np.array([f"a{i:03d}" for i in range(66)])
    archive = Items(ids, labels, ids, ids)
    query = Items(np.array(["q1", "q2"]), np.array(["rare", "common"]), np.array(["q1", "q2"]), np.array(["q1", "q2"]))
    kept, _ = build_pairs(query, archive, positives_per_query=2, min_positives=10)
    assert kept[kept["label"] == 1].groupby("query").size().to_dict() == {"q1": 6, "q2": 2}
    cut, _ = build_pairs(query, archive, positives_per_query=2, min_positives=6)
    assert cut[cut["label"] == 1].groupby("query").size().to_dict() == {"q1": 2, "q2": 2}


def test_queries_without_an_admissible_positive_are_counted_and_none_at_all_is_an_error():
    same_page = Items(
        np.array(["a1", "a2", "a3"]),
        np.array(["a", "b", "c"]),
        np.array(["p", "b1", "c1"]),
        np.array(["a1", "a2", "a3"]),
    )
    query = Items(np.array(["q1", "q2"]), np.array(["a", "b"]), np.array(["p", "b2"]), np.array(["q1", "q2"]))
    pairs, counts = build_pairs(query, same_page)
    assert counts.queries_without_positive == 1
    assert set(pairs["query"]) == {"q2"}
    with pytest.raises(DataError, match="no verification pair"):
        build_pairs(query.take([0]), same_page)


def test_scores_and_groups_are_found_by_image_id():
    pairs, _ = build_pairs(QUERY, ARCHIVE, 2)

    def scores(rows, columns):
        return rows[:, None] * 1000.0 + columns

    found = pair_scores(pairs, scores, QUERY.ids, ARCHIVE.ids)
    row = pairs.iloc[-1]
    assert found[-1] == int(row["query"][1:]) * 1000 + int(row["archive"][1:])
    assert pair_groups(pairs, QUERY)[-1] == lookup(QUERY, [row["query"]])["group"][0]
    with pytest.raises(DataError, match="unknown image"):
        pair_scores(pairs, scores, QUERY.ids, ARCHIVE.ids[:2])
