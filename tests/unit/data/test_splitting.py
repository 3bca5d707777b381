import numpy as np
import pandas as pd
import pytest

from twinfolio.data.splitting import lend, place_units, split_manifest

FRACTIONS = (0.70, 0.15, 0.15)


def _frame(classes):
    """``{"a": [3, 2]}``: class a has a page of 3 images and one of 2."""
    rows = [
        (f"{label}/{page}_{image}", label, f"{label}/{page}")
        for label, pages in classes.items()
        for page, images in enumerate(pages)
        for image in range(images)
    ]
    frame = pd.DataFrame(rows, columns=["image_id", "label", "group"])
    return frame.assign(cluster=frame["image_id"])


def _split(frame, protocol="blocks", seed=0):
    return split_manifest(frame, protocol=protocol, fractions=FRACTIONS, seed=seed)


def _sizes(manifest):
    return manifest["split"].value_counts().reindex(["train", "val", "test"], fill_value=0).tolist()


def test_random_is_stratified_by_class():
    manifest = _split(_frame({"a": [1] * 100, "b": [1] * 40, "c": [1] * 20}), "random")
    for label, expected in {"a": [70, 15, 15], "b": [28, 6, 6], "c": [14, 3, 3]}.items():
        assert _sizes(manifest[manifest["label"] == label]) == expected
    assert manifest["within_group"].sum() == 0


def test_roundings_cancel_out_over_classes():
    manifest = _split(_frame({f"c{index:02}": [1] * 13 for index in range(40)}), "random")
    assert _sizes(manifest) == [364, 78, 78]
    assert manifest.groupby("label")["split"].apply(lambda splits: (splits == "train").sum()).between(8, 10).all()


def test_random_may_separate_a_page_and_blocks_may_not():
    frame = _frame({"a": [10] * 6, "b": [10] * 6})
    assert (_split(frame, "random").groupby("group")["split"].nunique() > 1).any()
    assert (_split(frame, "blocks").groupby("group")["split"].nunique() == 1).all()


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([3, 3, 3, 3, 4], [10, 3, 3]),
        ([4, 4, 4, 4], [8, 4, 4]),
        ([5, 5, 6], [6, 5, 5]),
        ([2, 3, 18], [18, 3, 2]),
        ([1] * 20, [14, 3, 3]),
        ([60, 5, 10, 10, 10, 5], [70, 15, 15]),
    ],
)
def test_blocks_come_as_near_to_the_shares_as_whole_pages_allow(pages, expected):
    for seed in range(5):
        sizes = _sizes(_split(_frame({"a": pages}), seed=seed))
        assert sizes[0] == expected[0]
        assert sorted(sizes[1:]) == sorted(expected[1:])


def test_of_two_pages_the_larger_trains_and_the_other_tests_and_validation_is_lent():
    manifest = _split(_frame({"a": [20, 10]}))
    own = manifest[manifest["within_group"] == 0]
    assert own.groupby("group")["split"].unique().explode().to_dict() == {"a/0": "train", "a/1": "test"}
    lent = manifest[manifest["within_group"] == 1]
    assert len(lent) == 3
    assert set(lent["split"]) == {"val"}
    assert set(lent["group"]) == {"a/0"}


def test_a_single_page_trains_and_lends_15_percent():
    manifest = _split(_frame({"a": [30], "b": [4], "c": [3]}))
    assert _sizes(manifest[manifest["label"] == "a"]) == [25, 5, 0]
    assert _sizes(manifest[manifest["label"] == "b"]) == [3, 1, 0]
    assert _sizes(manifest[manifest["label"] == "c"]) == [3, 0, 0]
    assert (manifest["within_group"] == (manifest["split"] == "val")).all()


def test_lending_takes_whole_clusters_and_never_more_than_the_quota():
    clusters = np.array([0, 0, 0, 1, 2, 2, 3])
    for seed in range(20):
        drawn = lend(clusters, 3, np.random.default_rng(seed))
        assert 0 < len(drawn) <= 3
        for cluster in range(4):
            assert np.isin(np.flatnonzero(clusters == cluster), drawn).mean() in (0, 1)
    assert lend(np.zeros(10), 2, np.random.default_rng(0)).tolist() == []


@pytest.mark.parametrize("protocol", ["random", "blocks"])
def test_one_image_trains(protocol):
    assert _split(_frame({"a": [1], "b": [1, 1]}), protocol)["split"].tolist()[0] == "train"


def test_pages_that_share_a_duplicate_travel_together():
    frame = _frame({"a": [4, 4, 4, 4]})
    frame.loc[frame["image_id"] == "a/3_0", "cluster"] = "a/0_0"
    for seed in range(10):
        manifest = _split(frame, seed=seed).set_index("group")
        assert manifest.loc["a/0", "split"].tolist() == manifest.loc["a/3", "split"].tolist()
        assert set(manifest["split"]) == {"train", "val", "test"}


@pytest.mark.parametrize("protocol", ["random", "blocks"])
def test_the_same_picture_under_two_labels_trains(protocol):
    frame = _frame({"a": [1] * 10, "b": [1] * 10})
    frame.loc[frame["image_id"].isin(["a/7_0", "b/2_0"]), "cluster"] = "a/7_0"
    for seed in range(10):
        manifest = _split(frame, protocol, seed).set_index("image_id")
        assert manifest.loc[["a/7_0", "b/2_0"], "split"].tolist() == ["train", "train"]
        assert _sizes(manifest) == [14, 3, 3]


def test_with_one_free_unit_beside_pinned_ones_test_gets_it():
    places = place_units(
        np.array([5, 5, 5]), np.array([True, True, False]), FRACTIONS, np.zeros(3), np.random.default_rng()
    )
    assert places.tolist() == [0, 0, 2]


def test_another_seed_draws_other_images_and_another_class_does_not():
    frame = _frame({"a": [1] * 20, "c": [1] * 20})
    first = _split(frame)
    assert _split(frame, seed=1)["split"].tolist() != first["split"].tolist()
    more = _split(_frame({"a": [1] * 20, "b": [1] * 20, "c": [1] * 20}))
    assert more[more["label"] != "b"]["split"].tolist() == first["split"].tolist()
