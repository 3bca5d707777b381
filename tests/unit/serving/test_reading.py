import numpy as np
import pytest
from PIL import Image

from twinfolio.data.building import build_manifest
from twinfolio.data.images import UnreadableImageError, image_size
from twinfolio.data.store import Store
from twinfolio.data.store_plan import Rendering
from twinfolio.data.store_writer import write_store
from twinfolio.serving.reading import content_hash, read_all, read_rows


def save(path, size=(60, 80), seed=0, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **kwargs)
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_are_those_of_the_store_tiles_and_all(tmp_path, channels):
    for label in "ab":
        for number in range(4):
            save(tmp_path / "data" / label / f"{number}.jpg", (60, 80) if number else (400, 300), number)
    rendering = Rendering(size=32, tiles=4, channels=channels)
    manifest = build_manifest(tmp_path / "data").manifest
    write_store(manifest, tmp_path / "data", tmp_path / "store", rendering, max_copies=0, workers=1)
    for split in ("train", "val", "test"):
        store = Store.open(tmp_path / "store" / split)
        for image_id, positions in store.index.groupby("image_id").indices.items():
            path = tmp_path / "data" / manifest.set_index("image_id").loc[image_id, "path"]
            assert np.array_equal(read_rows(path, rendering), store.images[positions])


def test_an_exif_rotation_turns_the_size_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert image_size(save(tmp_path / "a.jpg", (60, 80), exif=exif)) == (80, 60)


def test_files_come_in_order_and_bad_ones_with_their_reason(tmp_path):
    paths = [save(tmp_path / f"{n:03}.png", seed=n) for n in range(50)]
    paths[7].write_text("no image")
    paths[9].write_bytes(paths[9].read_bytes()[:200])
    read = list(read_all([*paths, tmp_path / "gone.png"], Rendering(size=32)))
    assert [one.path for one in read] == [*paths, tmp_path / "gone.png"]
    assert {one.path.name: one.reason for one in read if one.reason} == {
        "007.png": "not an image", "009.png": "truncated", "gone.png": "no such file",
    }  # fmt: skip
    assert all(one.rows.shape == (0 if one.reason else 1, 32, 32, 3) for one in read)


def test_content_is_hashed_and_a_missing_file_named(tmp_path):
    assert content_hash(save(tmp_path / "a.png")) == content_hash(save(tmp_path / "b.png"))
    with pytest.raises(UnreadableImageError, match=r"gone\.png"):
        content_hash(tmp_path / "gone.png")
