import numpy as np
import pytest

from twinfolio.data.omniglot_store import choose_alphabets, omniglot_store, shrink
from twinfolio.data.sources.omniglot import Drawings
from twinfolio.data.store import Store, read_info
from twinfolio.errors import DataError


def drawings(alphabets, seed=0):
    """``{name: characters}``, each drawn three times."""
    names = [
        f"{alphabet}/character{one:02d}/{number:02d}{one:02d}_{drawer:02d}"
        for number, (alphabet, characters) in enumerate(alphabets.items())
        for one in range(1, characters + 1)
        for drawer in (1, 2, 3)
    ]
    images = np.random.default_rng(seed).integers(0, 2, (len(names), 105, 105)).astype(np.uint8) * 255
    return Drawings(images, names)


SIDES = {"background": drawings({"a": 4, "b": 5, "c": 2}), "evaluation": drawings({"z": 3}, seed=1)}


def names_of(root, split):
    return Store.open(root / split).index


def test_alphabets_are_learned_validated_or_evaluated_and_never_two_of_these(tmp_path):
    info = omniglot_store(tmp_path / "store", SIDES, ["b"], size=35, poses=1)
    found = {split: names_of(tmp_path / "store", split) for split in ("train", "val", "test")}
    alphabets = {split: {name.split("/")[0] for name in index["label"]} for split, index in found.items()}
    assert alphabets == {"train": {"a", "c"}, "val": {"b"}, "test": {"z"}}
    assert [len(index) for index in found.values()] == [18, 15, 9]
    assert info.classes == read_info(tmp_path / "store").classes
    labels = {split: Store.open(tmp_path / "store" / split).labels for split in found}
    assert (labels["train"].max(), labels["val"].min(), labels["val"].max(), labels["test"].min()) == (5, 6, 10, 11)
    assert found["val"]["image_id"].iloc[0] == "b/character01/0101_01"
    assert Store.open(tmp_path / "store" / "train").images.shape == (18, 35, 35, 1)


def test_turned_and_mirrored_characters_are_other_classes_of_other_alphabets(tmp_path):
    info = omniglot_store(tmp_path / "store", SIDES, ["b"], size=105, poses=8)
    store = Store.open(tmp_path / "store" / "train")
    assert len(store) == 8 * 18
    assert len(set(store.labels)) == 8 * 6
    assert {f"a@{pose}/character01" for pose in ("90", "270", "mirrored", "mirrored180")} <= set(info.classes)
    row = {name: number for number, name in enumerate(store.index["image_id"])}
    plain = store.images[row["a/character01/0001_01"]][..., 0]
    np.testing.assert_array_equal(store.images[row["a@90/character01/0001_01"]][..., 0], np.rot90(plain))
    mirrored = store.images[row["a@mirrored90/character01/0001_01"]][..., 0]
    np.testing.assert_array_equal(mirrored, np.rot90(plain[:, ::-1]))
    assert not any("@" in name for name in names_of(tmp_path / "store", "val")["label"])


def test_validation_alphabets_that_are_to_be_learned_have_all_poses(tmp_path):
    omniglot_store(tmp_path / "store", SIDES, ["b"], size=35, poses=4, refit=True)
    index = names_of(tmp_path / "store", "val")
    assert {name.split("/")[0] for name in index["label"]} == {"b", "b@90", "b@180", "b@270"}
    assert not any("@" in name for name in names_of(tmp_path / "store", "test")["label"])


def test_shrinking_keeps_the_share_of_ink():
    images = SIDES["background"].images
    assert shrink(images, 35).mean() == pytest.approx(images.mean(), abs=0.5)
    assert shrink(images, 105) is images


def test_alphabets_to_validate_on_have_enough_characters_for_a_trial():
    chosen = {tuple(choose_alphabets(SIDES["background"], 1, 4, seed)) for seed in range(20)}
    assert chosen == {("a",), ("b",)}
    assert choose_alphabets(SIDES["background"], 2, 4, 0) == ["a", "b"]
    with pytest.raises(DataError, match="2 background alphabets have 4 characters or more, 3 are"):
        choose_alphabets(SIDES["background"], 3, 4, 0)
    with pytest.raises(DataError, match="leave some to learn from"):
        choose_alphabets(SIDES["background"], 3, 2, 0)


def test_an_alphabet_on_both_sides_is_refused(tmp_path):
    with pytest.raises(DataError, match="a is on both sides"):
        omniglot_store(tmp_path, SIDES | {"evaluation": drawings({"a": 2})}, ["b"], size=35, poses=1)


def test_no_such_alphabet_is_one_line(tmp_path):
    with pytest.raises(DataError, match="no alphabet q"):
        omniglot_store(tmp_path, SIDES, ["q"], size=35, poses=1)
