"""Folders of the recipe's benchmark, made from tiny data sets."""

import numpy as np
import pytest
from PIL import Image

from tests.unit.benchmarks.scripts import benchmark

folders = benchmark("_folders")
UNPACK = """
import sys
from pathlib import Path
name, dest = sys.argv[1], Path(sys.argv[2])
with Path(__file__).with_name("calls").open("a") as file:
    file.write(name + "\\n")
for label in ("a", "b", "c"):
    for number in range(4 if label == "c" else 6):
        file = dest / "train" / label / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"{label}{number}".encode())
"""


@pytest.fixture
def data(tmp_path):
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "shared" / "data" / "unpack").write_text(UNPACK)
    return folders.shared_data(tmp_path / "shared")


def patch(folder, name, shade):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade,) * 3).save(folder / name)
    return folder / name


def test_one_line_where_the_data_sets_are_absent(tmp_path):
    with pytest.raises(SystemExit, match="no data sets to make folders from"):
        folders.shared_data(tmp_path)


def test_a_folder_is_drawn_once_and_found_again(tmp_path, data):
    folder = folders.Folder("few", "digits", "digits", folders.folders_below("train"), size=(2, 5))
    made = folders.make_folder(folder, data, tmp_path / "place")
    names = sorted(str(path.relative_to(made)) for path in made.rglob("*.png"))
    assert {name[0] for name in names} == {"a", "b"}, "a class with too few images comes last"
    assert len(names) == 10
    assert all((made / name).read_text() == f"{name[0]}{name[2]}" for name in names)
    assert folders.make_folder(folder, data, tmp_path / "place") == made
    whole = folders.Folder("all", "digits", "digits", folders.folders_below("train"))
    assert len(list(folders.make_folder(whole, data, tmp_path / "place").rglob("*.png"))) == 16
    assert (data / "calls").read_text().split() == ["digits"], "unpacked once"


def test_the_same_images_are_drawn_for_everybody(tmp_path):
    classes = {name: [tmp_path / f"{name}{i}" for i in range(20)] for name in "abcdef"}
    drawn = folders.draw(classes, (3, 4))
    assert drawn == folders.draw(dict(reversed(classes.items())), (3, 4))
    assert [len(files) for files in drawn.values()] == [4, 4, 4]
    assert drawn != folders.draw(classes, (3, 4), seed=1)


def test_classes_of_nested_folders_bear_their_path(tmp_path):
    for name in ("x/one", "x/two", "y/one"):
        (tmp_path / "top" / name).mkdir(parents=True)
        (tmp_path / "top" / name / "1.png").touch()
    assert list(folders.folders_below("top", 2)(tmp_path)) == ["x-one", "x-two", "y-one"]


def test_pages_are_pasted_of_patches_of_one_page(tmp_path):
    files = [
        patch(tmp_path / "m", f"p{page}_t{tile}.png", 60 * page + 10 * tile) for page in range(3) for tile in (0, 1)
    ]
    files.append(patch(tmp_path / "m", "p3_t0.png", 250))
    alone = [patch(tmp_path / "n", f"p{page}_t0.png", 9) for page in range(5)]
    folders.write_pages({"m": files, "n": alone}, tmp_path / "pages")
    assert sorted(path.name for path in (tmp_path / "pages").rglob("*.jpg")) == ["p0.jpg", "p1.jpg", "p2.jpg"]
    page = np.asarray(Image.open(tmp_path / "pages" / "m" / "p1.jpg").convert("L"), dtype=int)
    assert page.shape == (512, 512)
    corners = [page[row, column] for row in (60, 450) for column in (60, 450)]
    assert corners == pytest.approx([60, 70, 60, 70], abs=3)


def test_pages_with_most_patches_come_first(tmp_path):
    files = [
        tmp_path / f"p{page}_t{tile}.jpg" for page, tiles in ((0, 2), (1, 4), (2, 3), (3, 1)) for tile in range(tiles)
    ]
    assert list(folders.patches_by_page(files)) == ["p1", "p2", "p0"]


def test_the_list_is_of_ten_folders_or_more_of_four_kinds_or_more():
    assert len(folders.FOLDERS) >= 10
    assert len({folder.kind for folder in folders.FOLDERS.values()}) >= 4
    assert any(folder.size == (200, 3) for folder in folders.FOLDERS.values())
