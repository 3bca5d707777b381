import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinfolio.data.sources.omniglot import (
    CLASSES_SHA256,
    SMALL,
    class_hash,
    is_complete,
    load_drawings,
    load_runs,
)
from twinfolio.errors import DataError

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_omniglot = pytest.mark.skipif(
    not (SHARED / "omniglot.zip").exists(), reason="Omniglot lies outside the repository"
)


def draw(path, seed=0, side=105):
    """Dark ink on white, one bit, as the originals."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ink = np.random.default_rng(seed).random((side, side)) < 0.1
    Image.fromarray(~ink).save(path)


@pytest.fixture
def tree(tmp_path):
    root, number = tmp_path / "omniglot", 0
    for side, alphabets in (("background", ("Greek", "Norse")), ("evaluation", ("Ogham",))):
        for alphabet in alphabets:
            for character in (1, 2):
                number += 1
                for drawer in (1, 2, 3):
                    name = f"{number:04d}_{drawer:02d}.png"
                    draw(root / f"images_{side}" / alphabet / f"character{character:02d}" / name, 10 * number + drawer)
    return root


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "all_runs"
    for run in range(1, 21):
        order = np.random.default_rng(run).permutation(20) + 1
        for number in range(1, 21):
            draw(root / f"run{run:02d}/training/class{number:02d}.png", 100 * run + number)
            draw(root / f"run{run:02d}/test/item{number:02d}.png", 100 * run + number + 50)
        lines = [
            f"run{run:02d}/test/item{item + 1:02d}.png run{run:02d}/training/class{answer:02d}.png"
            for item, answer in enumerate(order)
        ]
        (root / f"run{run:02d}/class_labels.txt").write_text("\n".join(lines))
    return root


def zipped(folder, target, inside=None):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted((folder / inside if inside else folder).rglob("*.*")):
            archive.write(path, path.relative_to(folder))
    return target


def same(a, b):
    return all(a[side].names == b[side].names and (a[side].images == b[side].images).all() for side in a)


def test_ink_is_bright_and_names_say_alphabet_character_and_drawer(tree):
    sides, left_out = load_drawings(tree)
    found = sides["background"]
    assert left_out == []
    assert found.images.shape == (12, 105, 105)
    assert 0 < (found.images == 255).mean() < 0.2
    assert set(np.unique(found.images)) == {0, 255}
    assert found.names[0] == "Greek/character01/0001_01"
    assert (found.classes[4], found.alphabets[-1]) == ("Greek/character02", "Norse")
    assert found.drawers[:3] == ["01", "02", "03"]
    assert found.of(["Norse"]).names == found.names[6:]
    with pytest.raises(DataError, match="no alphabet Latin; choose of Greek, Norse"):
        found.of(["Latin"])


def test_every_layout_gives_the_same(tree, tmp_path):
    plain = load_drawings(tree)[0]
    assert same(plain, load_drawings(zipped(tree, tmp_path / "omniglot.zip"))[0])
    for side in ("background", "evaluation"):  # the original repository
        (tmp_path / "original").mkdir(exist_ok=True)
        zipped(tree, tmp_path / "original" / f"images_{side}.zip", f"images_{side}")
    assert same(plain, load_drawings(tmp_path / "original")[0])
    shutil.copytree(tree, tmp_path / "torchvision" / "omniglot-py")  # which keeps the zips beside the folders
    for path in (tmp_path / "original").iterdir():
        shutil.copy(path, tmp_path / "torchvision" / "omniglot-py")
    assert same(plain, load_drawings(tmp_path / "torchvision")[0])
    assert same(plain, load_drawings(tmp_path / "torchvision" / "omniglot-py")[0])


def test_what_cannot_be_read_is_listed_and_left_out(tree):
    bad = "images_background/Greek/character01/0001_02.png"
    (tree / bad).write_bytes(b"no image")
    sides, left_out = load_drawings(tree)
    assert left_out == [(bad, "cannot be decoded")]
    assert len(sides["background"].names) == 11


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: shutil.rmtree(root / "images_evaluation"), "no images_evaluation"),
        (lambda root: draw(root / "images_background/Greek/character01/0001_09.png", side=28), "28 x 28 pixels, not"),
        (lambda root: draw(root / "images_background/Greek/0001_09.png"), "is not ALPHABET/CHARACTER/NNNN_NN.png"),
        (lambda root: draw(root / "images_background/Greek/character09/0001_09.png"), "character 0001 is in"),
        (lambda root: draw(root / "images_background/Greek/character01/0099_09.png"), "holds characters 0001 and 0099"),
        (lambda root: draw(root / "images_background/Ogham/character09/0099_09.png"), "Ogham is on both sides"),
        (shutil.rmtree, "no such file"),
    ],
)
def test_folders_that_are_mixed_up_are_refused_in_a_line(tree, spoil, said):
    spoil(tree)
    with pytest.raises(DataError, match=said):
        load_drawings(tree)


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "omniglot.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="not a zip file"):
        load_drawings(tmp_path / "omniglot.zip")


def test_a_run_asks_for_each_of_its_20_items_among_its_20_classes(runs, tmp_path):
    found = load_runs(runs)
    assert found.images.shape == (800, 105, 105)
    assert (len(set(found.families)), found.support.shape) == (20, (400, 20, 1))
    order = np.random.default_rng(3).permutation(20)
    assert found.answers[40:60].tolist() == order.tolist()
    assert found.names[found.queries[45]] == "run03/test/item06"
    assert found.names[found.support[45, order[5], 0]] == f"run03/training/class{order[5] + 1:02d}"
    again = load_runs(zipped(runs, tmp_path / "all_runs.zip"))
    np.testing.assert_array_equal(again.images, found.images)


@pytest.mark.parametrize(
    ("part", "content", "said"),
    [
        ("run07/class_labels.txt", None, "run07/class_labels.txt is missing"),
        ("run20/test/item20.png", None, "run20/test/item20.png is missing"),
        ("run01/training/class01.png", b"no image", "run01/training/class01.png cannot be decoded"),
        ("run02/class_labels.txt", b"run02/test/item01.png run02/training/class01.png", "each of 20 items"),
    ],
)
def test_a_run_that_is_not_whole_is_refused_in_a_line(runs, tmp_path, part, content, said):
    copy = tmp_path / "all_runs"
    shutil.copytree(runs, copy)
    (copy / part).unlink()
    if content is not None:
        (copy / part).write_bytes(content)
    with pytest.raises(DataError, match=said):
        load_runs(copy)


def test_a_run_of_another_size_is_refused(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "all_runs")
    draw(tmp_path / "all_runs/run05/test/item03.png", side=28)
    with pytest.raises(DataError, match="28 x 28 pixels"):
        load_runs(tmp_path / "all_runs")


def test_a_class_list_is_known_by_its_hash_in_any_order():
    assert class_hash(["b/1", "a/1", "a/1"]) == class_hash(["a/1", "b/1"]) != class_hash(["a/1"])


@needs_omniglot
def test_omniglot_is_complete_and_its_runs_show_evaluation_characters():
    sides, left_out = load_drawings(SHARED / "omniglot.zip")
    assert left_out == []
    assert [len(sides[side].names) for side in ("background", "evaluation")] == [19_280, 13_180]
    assert {side: class_hash(found.classes) for side, found in sides.items()} == CLASSES_SHA256
    assert is_complete(sides)
    assert [len(sides["background"].of(SMALL[name]).names) for name in ("small1", "small2")] == [2_720, 3_120]
    evaluation = sides["evaluation"]
    character = {image.tobytes(): name for image, name in zip(evaluation.images, evaluation.classes, strict=True)}
    runs = load_runs(SHARED / "all_runs.zip")
    asked = [character[runs.images[query].tobytes()] for query in runs.queries]
    shown = runs.support[np.arange(400), runs.answers, 0]
    assert asked == [character[runs.images[image].tobytes()] for image in shown]
