from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from twinfolio.data import store_writer
from twinfolio.data.manifest import COLUMNS
from twinfolio.data.store import Store, class_weights, fit_image, read_info, rows_per_class
from twinfolio.data.store_plan import Rendering, plan_rows
from twinfolio.data.store_writer import write_store
from twinfolio.data.tiling import tile_side
from twinfolio.errors import DataError

SMALL = Rendering(size=32, tiles=4, policy="pages")
TRAIN, HELD_OUT = (200, 30, 30), (30, 30, 200)
"""Colours of train and of all other images: a row shows where it stems from."""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> tuple[pd.DataFrame, Path]:
    """Three classes of 8, 3 and 2 train images, one val and one test image each; the last train image is a page."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for label, n in (("a", 8), ("b", 3), ("NA", 2)):
        (folder / label).mkdir()
        for number, split in enumerate(["train"] * n + ["val", "test"]):
            size = (200, 150) if (label, number) == ("b", 2) else (40, 30 + number)
            name = f"{label}/p {number:02d}é"
            Image.new("RGB", size, TRAIN if split == "train" else HELD_OUT).save(folder / f"{name}.png")
            digest = f"{label}{number}"
            rows.append((name, f"{name}.png", label, split, f"{label}/{number // 2}", *size, digest, name, 0))
    manifest = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("image_id", ignore_index=True)
    return manifest, folder


@pytest.fixture(scope="module")
def written(source, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("outputs") / "store"
    write_store(*source, target, SMALL, workers=1)
    return target


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def slow_fit(image: np.ndarray, size: int) -> np.ndarray:
    """Padding of an image that needs no resizing, pixel by pixel."""
    height, width = image.shape[:2]
    out = np.empty((size, size, 3), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    for y in range(size):
        for x in range(size):
            inside = 0 <= y - top < height and 0 <= x - left < width
            out[y, x] = image[y - top, x - left] if inside else (9, 8, 7)
    return out


def test_no_row_of_train_stems_from_a_held_out_image_and_none_of_the_others_from_train(source, written):
    manifest, _ = source
    for split in ("train", "val", "test"):
        store = Store.open(written / split)
        assert set(store.index["image_id"]) == set(manifest["image_id"][manifest["split"] == split])
        red, blue = store.images[..., 0].mean(axis=(1, 2)), store.images[..., 2].mean(axis=(1, 2))
        assert ((red > blue + 50) == (split == "train")).all()


def test_validation_and_test_hold_every_image_once_and_untouched(source, written):
    manifest, folder = source
    for split in ("val", "test"):
        store = Store.open(written / split)
        expected = manifest[manifest["split"] == split]
        assert store.index["image_id"].tolist() == expected["image_id"].tolist()
        assert (store.index["copy"] == 0).all()
        for row, path in enumerate(expected["path"]):
            image = np.asarray(Image.open(folder / path))
            assert np.array_equal(store.images[row], fit_image(image, 32, "pad"))


def test_labels_point_into_the_sorted_classes(written):
    info = read_info(written)
    assert info.classes == ["NA", "a", "b"]
    for split in ("train", "val", "test"):
        store = Store.open(written / split)
        assert [info.classes[label] for label in store.labels] == store.index["label"].tolist()
        assert store.labels.dtype == np.int64


def test_train_is_originals_in_the_manifests_order_then_copies(source, written):
    manifest, _ = source
    index = Store.open(written / "train").index
    copies = index["copy"].to_numpy() > 0
    assert (np.diff(copies.astype(int)) >= 0).all()
    seen = index["image_id"][~copies].drop_duplicates().tolist()
    assert seen == manifest["image_id"][manifest["split"] == "train"].tolist()
    assert index["image_id"][copies].is_monotonic_increasing


def test_classes_are_filled_up_to_the_largest(written):
    table = rows_per_class(written).set_index("class")
    # b: two images and a page of four tiles; NA: two images, three copies each and no more
    assert table["train_originals"].to_dict() == {"NA": 2, "a": 8, "b": 6}
    assert table["train_copies"].to_dict() == {"NA": 6, "a": 0, "b": 2}


@pytest.mark.parametrize(
    ("per_class", "max_copies", "policy", "expected"),
    [
        (None, 1, "pages", (2, 0, 2)),
        (12, 9, "pages", (10, 4, 6)),
        (3, 3, "pages", (1, 0, 0)),
        (None, 3, "none", (0, 0, 0)),
    ],
)
def test_copies_reach_the_target_and_stop_at_the_limit(source, per_class, max_copies, policy, expected):
    train = source[0][source[0]["split"] == "train"]
    plan = plan_rows(train, Rendering(size=32, tiles=4, policy=policy), per_class, max_copies)
    copies = plan[plan["copy"] > 0]
    assert tuple(int((copies["label"] == label).sum()) for label in ("NA", "a", "b")) == expected
    for _, of_class in plan.groupby("label"):
        per_row = of_class.groupby(["image_id", "tile"]).size()
        assert per_row.max() - per_row.min() <= 1
    assert (copies["copy"] <= max_copies).all()


def test_a_copy_differs_from_its_original_and_from_other_copies(tmp_path, source):
    manifest, _ = source
    one = manifest[manifest["image_id"].isin(["b/p 00é", "a/p 00é", "a/p 01é", "a/p 02é"])]
    patterned = tmp_path / "data"
    for path in one["path"]:
        (patterned / path).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 30), 90).convert("RGB").save(patterned / path)
    write_store(one, patterned, tmp_path / "store", SMALL, workers=1)
    store = Store.open(tmp_path / "store/train")
    rows = store.images[store.index["image_id"] == "b/p 00é"]
    assert len(rows) == 3
    assert len(np.unique(rows.reshape(3, -1), axis=0)) == 3


def test_a_large_page_becomes_tiles_that_share_everything_but_their_number(written):
    index = Store.open(written / "train").index
    page = index[(index["image_id"] == "b/p 02é") & (index["copy"] == 0)]
    assert page["tile"].tolist() == [0, 1, 2, 3]
    assert page[["label", "group", "cluster"]].drop_duplicates().shape == (1, 3)
    assert (index["tile"][index["image_id"] != "b/p 02é"] == 0).all()


def test_a_large_jpeg_is_tiled_from_a_reduced_decoding_and_shows_the_same(tmp_path):
    label, name = tmp_path / "data" / "c", "c/folio.jpg"
    label.mkdir(parents=True)
    columns = np.linspace(0, 255, 1600).astype(np.uint8)
    Image.fromarray(np.broadcast_to(columns[None, :, None], (1200, 1600, 3)).copy()).save(tmp_path / "data" / name)
    row = ("c/folio", name, "c", "test", "c/folio", 1600, 1200, "0", "c/folio", 0)
    manifest = pd.DataFrame([row], columns=list(COLUMNS))
    write_store(manifest, tmp_path / "data", tmp_path / "store", SMALL, workers=1)
    tiles = Store.open(tmp_path / "store/test").images
    side = tile_side(1600, 1200, 4, 32)
    assert tiles.shape == (4, 32, 32, 3)
    assert np.ptp(tiles[0, 16, :, 0].astype(int)) == pytest.approx(255 * side / 1600, abs=5)


def test_workers_and_repetition_change_no_byte(source, written, tmp_path):
    write_store(*source, tmp_path / "store", SMALL, workers=2)
    assert files_of(tmp_path / "store") == files_of(written)


def test_the_seed_changes_copies_and_nothing_else(source, written, tmp_path):
    write_store(*source, tmp_path / "store", Rendering(size=32, tiles=4, seed=1), workers=1)
    first, second = Store.open(written / "train"), Store.open(tmp_path / "store/train")
    original = first.index["copy"] == 0
    assert np.array_equal(first.images[original], second.images[original])
    assert not np.array_equal(first.images[~original], second.images[~original])


def test_grey_rows_have_one_channel(source, tmp_path):
    write_store(*source, tmp_path / "store", Rendering(size=32, tiles=1, channels=1), workers=1)
    images = Store.open(tmp_path / "store/val").images
    assert images.shape == (3, 32, 32, 1)
    assert np.unique(images).tolist() == [round(0.299 * 30 + 0.587 * 30 + 0.114 * 200)]


@pytest.fixture(scope="module")
def with_unknown(source, tmp_path_factory) -> Path:
    """The same store with class b held out."""
    manifest, folder = source
    target = tmp_path_factory.mktemp("unknown") / "store"
    split = manifest["split"].where(manifest["label"] != "b", "unknown")
    write_store(manifest.assign(split=split), folder, target, SMALL, workers=1)
    return target


def test_unknown_classes_have_a_folder_of_their_own_and_known_ones_keep_their_rows(source, written, with_unknown):
    info, store = read_info(with_unknown), Store.open(with_unknown / "unknown")
    assert (info.classes, info.unknown_classes) == (["NA", "a"], ["b"])
    assert info.splits == ("train", "val", "test", "unknown")
    assert info.counts["unknown"] == {"images": 5, "rows": 8, "copies": 0}  # a page of four tiles
    assert (np.array([*info.classes, *info.unknown_classes])[store.labels] == "b").all()
    assert (store.index["copy"] == 0).all()
    assert info.data_hash == read_info(written).data_hash
    for split in ("train", "val", "test"):
        here, there = (Store.open(root / split) for root in (with_unknown, written))
        kept = there.index["label"] != "b"
        assert np.array_equal(here.images, there.images[kept])
        assert [info.classes[label] for label in here.labels] == there.index["label"][kept].tolist()


def test_the_table_of_classes_lists_unknown_ones_last(with_unknown):
    table = rows_per_class(with_unknown)
    assert table["class"].tolist() == ["NA", "a", "b"]
    assert table.set_index("class").loc["b"].tolist() == [0, 0, 0, 0, 8]
    assert table["unknown"].tolist() == [0, 0, 8]


def test_without_unknown_classes_their_folder_is_empty_and_an_older_store_opens(written, tmp_path):
    assert len(Store.open(written / "unknown")) == 0
    assert read_info(written).splits == ("train", "val", "test")
    older = json.loads((written / "store.json").read_text())
    assert older.pop("unknown_classes") == []
    (tmp_path / "store.json").write_text(json.dumps(older))
    assert read_info(tmp_path) == read_info(written)


def test_store_json_says_what_the_store_is(source, written):
    info = read_info(written)
    assert (info.size, info.fit, info.channels, info.policy, info.has_groups) == (32, "pad", 3, "pages", True)
    assert info.counts["train"] == {"images": 13, "rows": 24, "copies": 8}
    keys = list(json.loads((written / "store.json").read_text()))
    assert keys == sorted(keys)


def test_images_that_are_their_own_groups_are_no_groups(source, tmp_path):
    manifest, folder = source
    alone = manifest.assign(group=manifest["image_id"])
    assert not write_store(alone, folder, tmp_path / "store", SMALL, workers=1).has_groups


def test_the_data_hash_names_files_and_contents_only(source):
    manifest, _ = source
    first = store_writer.describe(manifest, {}, SMALL).data_hash
    assert store_writer.describe(manifest.sample(frac=1, random_state=0), {}, Rendering()).data_hash == first
    assert store_writer.describe(manifest.assign(sha256="x"), {}, SMALL).data_hash != first


def test_a_batch_is_a_copy_in_memory(written):
    batch = Store.open(written / "train").batch(np.array([3, 0, 3]))
    assert type(batch) is np.ndarray
    assert batch.shape == (3, 32, 32, 3)
    batch[:] = 0


def test_an_empty_split_can_be_written_and_opened(source, tmp_path):
    manifest, folder = source
    write_store(manifest[manifest["split"] != "val"], folder, tmp_path / "store", SMALL, workers=1)
    assert len(Store.open(tmp_path / "store/val")) == 0


def test_a_new_store_replaces_the_old_one_as_a_whole(source, tmp_path):
    target = tmp_path / "store"
    (target / "train").mkdir(parents=True)
    (target / "left_over.txt").touch()
    (tmp_path / ".store.partial").mkdir()
    write_store(*source, target, SMALL, workers=1)
    assert sorted(path.name for path in target.iterdir()) == ["store.json", "test", "train", "unknown", "val"]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_that_became_unreadable_stops_the_writing_in_one_line(source, tmp_path, workers):
    manifest, folder = source
    broken = manifest.assign(path=manifest["path"].str.replace("a/p 03é.png", "a/gone.png"))
    with pytest.raises(DataError, match=r"a/gone\.png: .*run split again"):
        write_store(broken, folder, tmp_path / "store", SMALL, workers=workers)
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_seen_before_anything_is_written(source, tmp_path):
    huge = Rendering(size=200_000, tiles=1)
    with pytest.raises(DataError, match="MiB free; make room for"):
        write_store(*source, tmp_path / "store", huge, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_while_writing_is_one_line_and_leaves_the_old_store(source, tmp_path, monkeypatch):
    def fill(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "store").mkdir()
    monkeypatch.setattr(store_writer, "_allocate", fill)
    with pytest.raises(DataError, match="the disk is full"):
        write_store(*source, tmp_path / "store", SMALL, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.fixture
def tiny_disk(tmp_path):
    """Mount a file system of its own; a function of its options."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount command")
        if done.returncode:
            pytest.skip(f"mounting a tmpfs is not allowed here: {done.stderr.strip()}")
        return place

    yield mount
    subprocess.run(["umount", str(place)], capture_output=True, check=False)


@pytest.mark.parametrize("free_space_lies", [False, True])
def test_a_full_file_system_is_one_line_and_no_crash(source, tiny_disk, monkeypatch, free_space_lies):
    disk = tiny_disk("size=64k")
    if free_space_lies:  # another program may fill the disk after the check
        monkeypatch.setattr(store_writer, "_check_space", lambda *args: None)
    with pytest.raises(DataError, match=r"disk (is full|has only).*make room"):
        write_store(*source, disk / "store", SMALL, workers=1)
    assert list(disk.iterdir()) == []


def test_a_file_system_without_preallocation_still_raises_when_full(source, tiny_disk, monkeypatch):
    disk = tiny_disk("size=64k")
    monkeypatch.setattr(store_writer, "_check_space", lambda *args: None)
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with pytest.raises(DataError, match="the disk is full"):
        write_store(*source, disk / "store", SMALL, workers=1)
    assert list(disk.iterdir()) == []


def test_a_read_only_output_is_one_line(source, tiny_disk):
    with pytest.raises(DataError, match=r"cannot be written .*; choose a writable folder"):
        write_store(*source, tiny_disk("ro") / "store", SMALL, workers=1)


def test_an_output_below_a_file_is_one_line(source, tmp_path):
    (tmp_path / "outputs").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_store(*source, tmp_path / "outputs/store", SMALL, workers=1)


@pytest.mark.parametrize("break_it", ["labels.npy", "images.npy", "index.csv"])
def test_a_broken_store_is_named(written, tmp_path, break_it):
    for name, content in files_of(written / "val").items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / break_it).unlink()
    with pytest.raises(DataError, match=r"run the augment stage"):
        Store.open(tmp_path)
    (tmp_path / break_it).write_bytes(files_of(written / "train")[break_it])
    with pytest.raises(DataError, match="do not belong together"):
        Store.open(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"size": 3}'])
def test_a_broken_store_json_is_named(tmp_path, text):
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(DataError, match=r"store\.json.*run the augment stage"):
        read_info(tmp_path)


@pytest.mark.parametrize("shape", [(20, 32), (32, 7), (1, 32), (32, 32)])
def test_padding_equals_its_slow_twin(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    image[0], image[-1], image[:, 0], image[:, -1] = [(9, 8, 7)] * 4
    assert np.array_equal(fit_image(image, 32, "pad"), slow_fit(image, 32))


def test_the_paddings_colour_is_the_median_of_the_border():
    image = np.full((16, 32, 3), (230, 210, 180), np.uint8)
    image[5:10, 5:25] = 0
    image[0, :10] = 0
    padded = fit_image(image, 32, "pad")
    assert (padded[:8] == (230, 210, 180)).all()
    assert (padded[-8:] == (230, 210, 180)).all()


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("shape", [(500, 300), (3, 200), (10, 8), (64, 64)])
def test_every_fit_gives_a_square_of_the_size(fit, shape):
    assert fit_image(np.zeros((*shape, 3), np.uint8), 64, fit).shape == (64, 64, 3)


def test_crop_keeps_the_middle_and_stretch_keeps_the_ends():
    ramp = np.repeat(np.arange(0, 200, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2)
    assert fit_image(ramp, 100, "crop")[0, [0, -1], 0].tolist() == [50, 149]
    stretched = fit_image(ramp, 100, "stretch")[0, :, 0]
    assert stretched[0] < 3
    assert stretched[-1] > 196


def test_class_weights_balance_the_rows_and_average_to_one():
    labels = np.array([0] * 6 + [1] * 2 + [3] * 4)
    weights = class_weights(labels, 4)
    assert weights[labels].mean() == pytest.approx(1)
    assert np.allclose(np.bincount(labels, weights[labels], 4), [4, 4, 0, 4])


def test_a_balanced_store_needs_no_weights():
    assert np.allclose(class_weights(np.repeat([0, 1, 2], 5), 3), 1)
