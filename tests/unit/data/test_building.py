import logging
import shutil

import pytest
from PIL import Image

from twinfolio.data.building import build_manifest
from twinfolio.data.manifest import write_manifest
from twinfolio.errors import DataError


def _bytes(data, path):
    write_manifest(data.manifest, path)
    return path.read_bytes()


def test_a_folder_becomes_a_manifest_with_its_tables(class_folders, caplog):
    root = class_folders({"alpha": 20, "beta 2": 7, "single": 1})
    (root / "alpha" / "p3.png").write_bytes(b"")
    shutil.copy(root / "alpha" / "p1.png", root / "stray.png")
    shutil.copy(root / "alpha" / "p1.png", root / "beta 2" / "copy.png")
    with caplog.at_level(logging.INFO, logger="twinfolio"):
        data = build_manifest(root)
    assert data.left_out.values.tolist() == [["alpha/p3.png", "empty file"], ["stray.png", "not in a class folder"]]
    assert data.duplicates.values.tolist() == [["bytes", "alpha/p1", "beta 2/copy", "alpha | beta 2"]]
    assert data.classes.set_index("label")["images"].to_dict() == {"alpha": 19, "beta 2": 8, "single": 1}
    expected = {"images": 28, "left_out": 2, "classes": 3, "classes_with_test": 2, "classes_of_one_image": 1}
    expected |= {"duplicate_clusters": 1, "pairs_under_two_labels": 1, "groups": 28, "groups_joined_by_duplicates": 1}
    assert {key: data.counts[key] for key in expected} == expected
    assert "2 of 3 classes have test images" in caplog.text
    assert "1 classes have one image, which goes to train: single" in caplog.text


def test_groups_fill_the_manifest_and_the_class_table(class_folders):
    root = class_folders({"a": 12, "b": 6, "c": 4})
    rows = [f"{path.relative_to(root).as_posix()},{int(path.stem[1:]) // 4}" for path in root.rglob("*.png")]
    (root / "groups.csv").write_text("\n".join(["path,group", *rows]))
    data = build_manifest(root, groups_file=root / "groups.csv")
    table = data.classes.set_index("label")
    assert table["groups"].to_dict() == {"a": 3, "b": 2, "c": 1}
    assert table.loc["a", ["groups_train", "groups_val", "groups_test"]].tolist() == [1, 1, 1]
    assert table.loc["b", ["train", "val", "test", "groups_val", "within_group"]].tolist() == [3, 1, 2, 0, 1]
    assert table.loc["c", ["train", "val", "test", "within_group"]].tolist() == [3, 1, 0, 1]
    assert set(data.manifest["group"]) == {"a/0", "a/1", "a/2", "b/0", "b/1", "c/0"}
    assert data.counts["classes_lending_val"] == 2


@pytest.mark.parametrize("protocol", ["random", "blocks"])
def test_the_same_files_give_the_same_bytes_whatever_the_order_they_were_made_in(class_folders, tmp_path, protocol):
    root = class_folders({"b": 9, "a": 9})
    other = tmp_path / "other"
    for path in sorted(root.rglob("*.png"), reverse=True):
        (other / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other / path.parent.name)
    first, second = (build_manifest(folder, protocol=protocol, group_pattern=r"p\d") for folder in (root, other))
    assert _bytes(first, tmp_path / "1.csv") == _bytes(second, tmp_path / "2.csv")


def _spoil(root, count):
    for path in sorted(root.rglob("*.png"))[:count]:
        path.write_text("no image")


def test_more_than_half_left_out_stops_and_half_does_not(class_folders):
    root = class_folders({"a": 5, "b": 5})
    _spoil(root, 4)
    assert build_manifest(root).counts["left_out"] == 4
    (root / "b" / "p0.png").write_text("no image")
    (root / "a" / "stray.txt").write_text("not counted")
    _spoil(root, 4)
    assert build_manifest(root).counts["images"] == 5
    _spoil(root, 5)
    with pytest.raises(DataError, match=r"6 of 10 images cannot be used, 6 of them: not an image \(a/p0.png\)"):
        build_manifest(root)


def test_no_images_one_class_and_no_folder_stop_with_one_line(class_folders, tmp_path):
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="empty: no images"):
        build_manifest(tmp_path / "empty")
    with pytest.raises(DataError, match="only one class has readable images, a"):
        build_manifest(class_folders({"a": 3}))
    with pytest.raises(DataError, match="no such folder"):
        build_manifest(tmp_path / "absent")


def test_a_pattern_that_matches_nothing_stops(class_folders):
    with pytest.raises(DataError, match="matches no path"):
        build_manifest(class_folders({"a": 2, "b": 2}), group_pattern="folio")


def test_real_manuscripts_by_page(real_data):
    data = build_manifest(real_data("arabic"), group_pattern=r"p\d+")
    expected = {"images": 747, "classes": 30, "groups": 47, "classes_with_test": 14, "classes_lending_val": 27}
    assert {key: data.counts[key] for key in expected} == expected
    own = data.manifest[data.manifest["within_group"] == 0]
    assert (own.groupby("group")["split"].nunique() == 1).all()


def _held_out(root, unknown, **options):
    return build_manifest(root, unknown_classes=unknown, workers=1, **options)


@pytest.mark.parametrize("protocol", ["random", "blocks"])
def test_known_classes_are_split_as_if_the_unknown_ones_were_not_there(class_folders, tmp_path, protocol):
    root = class_folders({"a": 13, "b": 9, "c": 7, "d": 11})
    shutil.copy(root / "a" / "p1.png", root / "b" / "copy.png")  # a picture of three classes
    shutil.copy(root / "a" / "p1.png", root / "c" / "copy.png")
    with_key = _held_out(root, ["a", "d"], protocol=protocol, group_pattern=r"p\d")
    shutil.rmtree(root / "a")
    shutil.rmtree(root / "d")
    without = build_manifest(root, protocol=protocol, group_pattern=r"p\d", workers=1).manifest
    known = with_key.manifest[with_key.manifest["split"] != "unknown"].reset_index(drop=True)
    assert known.to_dict("list") == without.to_dict("list")
    unknown = with_key.manifest[with_key.manifest["split"] == "unknown"]
    assert unknown["label"].value_counts().to_dict() == {"a": 12, "d": 11}
    assert (unknown["within_group"] == 0).all()
    assert with_key.left_out.values.tolist() == [["a/p1.png", "shows the same as c/copy.png of a known class"]]
    assert with_key.classes.set_index("label").loc["a", ["images", "train", "unknown"]].tolist() == [12, 0, 12]
    expected = {"classes": 4, "classes_unknown": 2, "unknown": 23, "left_out": 1, "pairs_under_two_labels": 2}
    assert {key: with_key.counts[key] for key in expected} == expected
    write_manifest(with_key.manifest, tmp_path / "manifest.csv")


def test_known_images_linked_through_an_unknown_one_alone_stay_apart(class_folders, tmp_path):
    """b/twin ~ a/p0 = u/p0 ~ u/near = c/near: without u nothing links a and c."""
    root = class_folders({"a": 6, "c": 6, "u": 6})
    shutil.copy(root / "a" / "p0.png", root / "u" / "copy.png")
    with Image.open(root / "a" / "p0.png") as image:
        image.point(lambda level: min(255, level + 3)).save(root / "u" / "near.png")
    shutil.copy(root / "u" / "near.png", root / "c" / "near.png")
    joined = build_manifest(root, workers=1).manifest.set_index("image_id")["cluster"]
    assert joined["a/p0"] == joined["c/near"]
    data = _held_out(root, ["u"])
    apart = data.manifest.set_index("image_id")["cluster"]
    assert apart["a/p0"] != apart["c/near"]
    assert set(data.left_out["path"]) == {"u/copy.png", "u/near.png"}


def test_a_near_duplicate_of_a_known_image_is_not_unknown(class_folders):
    root = class_folders({"a": 6, "b": 6, "u": 3})
    with Image.open(root / "a" / "p0.png") as image:
        image.point(lambda level: min(255, level + 3)).save(root / "u" / "near.png")
    data = _held_out(root, ["u"])
    assert data.left_out.values.tolist() == [["u/near.png", "shows the same as a/p0.png of a known class"]]


def test_an_unknown_class_of_copies_alone_stops(class_folders):
    root = class_folders({"a": 3, "b": 3})
    shutil.copytree(root / "a", root / "u")
    with pytest.raises(DataError, match=r"every image of u also lies in the folder of a known class; hold out both"):
        _held_out(root, ["u"])
    assert set(_held_out(root, 0).manifest["label"]) == {"a", "b", "u"}


def test_a_number_draws_by_the_splits_seed_and_the_log_names_the_classes(class_folders, caplog):
    root = class_folders({"a": 4, "b": 4, "c": 4, "d": 4, "single": 1})
    with caplog.at_level(logging.INFO, logger="twinfolio"):
        data = _held_out(root, 2)
    names = sorted(set(data.manifest["label"][data.manifest["split"] == "unknown"]))
    assert len(names) == 2
    assert f"8 images are held out of training, with their classes: {', '.join(names)}" in caplog.text
    assert "2 of 3 classes have test images" in caplog.text
    draws = [set(_held_out(root, 2, seed=seed).manifest.query("split == 'unknown'")["label"]) for seed in range(5)]
    assert any(draw != set(names) for draw in draws)
