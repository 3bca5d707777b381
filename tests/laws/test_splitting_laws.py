import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.data.linked import Forest
from twinfolio.data.splitting import split_manifest

few = settings(max_examples=60, deadline=None)
protocols = st.sampled_from(["random", "blocks"])
seeds = st.integers(0, 5)


@st.composite
def frames(draw, links=True):
    """Up to 5 classes of up to 6 groups of up to 5 images; some images are duplicates of others."""
    pages = draw(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6), min_size=1, max_size=5))
    rows = [
        (f"c{label}/{page}_{image}", f"c{label}", f"c{label}/{page}")
        for label, sizes in enumerate(pages)
        for page, size in enumerate(sizes)
        for image in range(size)
    ]
    forest = Forest(len(rows))
    places = st.integers(0, len(rows) - 1)
    for a, b in draw(st.lists(st.tuples(places, places), max_size=6)) if links else []:
        forest.join(a, b)
    frame = pd.DataFrame(rows, columns=["image_id", "label", "group"])
    return frame.assign(cluster=frame["image_id"].to_numpy()[forest.firsts()])


def _split(frame, protocol, seed):
    return split_manifest(frame, protocol=protocol, fractions=(0.7, 0.15, 0.15), seed=seed)


@few
@given(frames(), protocols, seeds)
def test_every_image_is_in_exactly_one_split_and_every_class_trains(frame, protocol, seed):
    manifest = _split(frame, protocol, seed)
    assert sorted(manifest["image_id"]) == sorted(frame["image_id"])
    assert set(manifest["split"]) <= {"train", "val", "test"}
    assert set(manifest.loc[manifest["split"] == "train", "label"]) == set(frame["label"])


@few
@given(frames(), protocols, seeds)
def test_no_cluster_crosses_splits(frame, protocol, seed):
    assert (_split(frame, protocol, seed).groupby("cluster")["split"].nunique() == 1).all()


@few
@given(frames(), seeds)
def test_no_group_crosses_splits_under_blocks_but_for_images_lent_to_validation(frame, seed):
    manifest = _split(frame, "blocks", seed)
    lent = manifest["within_group"] == 1
    assert (manifest[~lent].groupby("group")["split"].nunique() == 1).all()
    assert (manifest.loc[lent, "split"] == "val").all()
    lenders = manifest[manifest["group"].isin(manifest.loc[lent, "group"])]
    assert set(lenders["split"]) <= {"train", "val"}


@few
@given(frames(), protocols, seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(frame, protocol, seed, random):
    order = list(range(len(frame)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(_split(frame.iloc[order], protocol, seed), _split(frame, protocol, seed))


@few
@given(frames(links=False), seeds)
def test_three_groups_reach_all_splits_two_train_and_test_one_train(frame, seed):
    manifest = _split(frame, "blocks", seed)
    own = manifest[manifest["within_group"] == 0].groupby("label")["split"].agg(set)
    for label, groups in frame.groupby("label")["group"].nunique().items():
        expected = [{"train"}, {"train", "test"}, {"train", "val", "test"}][min(groups, 3) - 1]
        assert own[label] == expected
