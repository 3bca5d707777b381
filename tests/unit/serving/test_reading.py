import numpy as np
import pytest
from PIL import Image

from twinfolio.data.building import build_manifest
from twinfolio.data.images import UnreadableImageError, image_size
from twinfolio.data.store import Store
from twinfolio.data.store_plan import Rendering
from twinfolio.data.store_writer import write_store
from twinfolio.serving.reading import content_hash, embed_all, find_images, read_all, read_rows


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_are_those_of_the_store_tiles_and_all(tmp_path, channels, save):
    for label in "ab":
        for number in range(4):
            size = (60, 80) if number else (400, 300)
            save(tmp_path / "data" / label / f"{number}.jpg", number, size)
    rendering = Rendering(size=32, tiles=4, channels=channels)
    manifest = build_manifest(tmp_path / "data").manifest
    write_store(manifest, tmp_path / "data", tmp_path / "store", rendering, max_copies=0, workers=1)
    for split in ("train", "val", "test"):
        store = Store.open(tmp_path / "store" / split)
        for image_id, positions in store.index.groupby("image_id").indices.items():
            path = tmp_path / "data" / manifest.set_index("image_id").loc[image_id, "path"]
            assert np.array_equal(read_rows(path, rendering), store.images[positions])


def test_an_exif_rotation_turns_the_size_too(tmp_path, save):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert image_size(save(tmp_path / "a.jpg", size=(60, 80), exif=exif)) == (80, 60)


def test_files_come_in_order_and_bad_ones_with_their_reason(tmp_path, save):
    paths = [save(tmp_path / f"{n:03}.png", seed=n) for n in range(50)]
    paths[7].write_text("no image")
    paths[9].write_bytes(paths[9].read_bytes()[:200])
    read = list(read_all([*paths, tmp_path / "gone.png"], Rendering(size=32)))
    assert [one.path for one in read] == [*paths, tmp_path / "gone.png"]
    assert {one.path.name: one.reason for one in read if one.reason} == {
        "007.png": "not an image", "009.png": "truncated", "gone.png": "no such file",
    }  # fmt: skip
    assert all(one.rows.shape == (0 if one.reason else 1, 32, 32, 3) for one in read)


def test_content_is_hashed_and_a_missing_file_named(tmp_path, save):
    assert content_hash(save(tmp_path / "a.png")) == content_hash(save(tmp_path / "b.png"))
    with pytest.raises(UnreadableImageError, match=r"gone\.png"):
        content_hash(tmp_path / "gone.png")


def test_files_folders_and_lines_of_standard_input_are_all_images(tmp_path, save):
    paths = [save(tmp_path / "in" / name, seed) for seed, name in enumerate(["a.png", "sub/b.png"])]
    (tmp_path / "in" / "notes.txt").write_text("no image")
    lone = tmp_path / "lone.png"
    found, left_out = find_images([str(lone), str(tmp_path / "in"), "-"], ["x y.png\n", "\n", f"{tmp_path / 'in'}\r\n"])
    assert [path.as_posix() for path in found] == [str(lone), *map(str, paths), "x y.png", *map(str, paths)]
    assert left_out == []


def test_embeddings_come_in_order_in_batches_and_say_why_one_is_missing(tmp_path, save, program):
    paths = [save(tmp_path / f"{n:03}.png", n) for n in range(40)]
    paths[5].write_text("no image")
    save(paths[20], None)
    found = list(embed_all(paths, program.rendering, program.embed))
    assert [one.path for one in found] == paths
    assert {one.path.name: one.reason for one in found if one.reason} == {
        "005.png": "not an image", "020.png": "its embedding is NaN or infinite",
    }  # fmt: skip
    for one in found:
        if one.reason is None:
            assert np.array_equal(one.vectors, program.embed(read_rows(one.path, program.rendering)))
    assert program.largest <= 32


def test_no_file_gives_no_embedding(program):
    assert list(embed_all([], program.rendering, program.embed)) == []
