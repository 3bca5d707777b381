import json

import numpy as np
import pytest

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.index import read_index
from twinfolio.serving.archive import build_from_gallery
from twinfolio.serving.certainty import Certainty, load_certainty
from twinfolio.serving.gallery import read_gallery

TABLE = "image_id,tile,split,label,content,path\na/1,0,train,a,sha,a/1.png\nb/1,0,val,b,,\n"


@pytest.fixture
def folder(tmp_path, program):
    program.folder = tmp_path / "outputs" / "evaluate" / "model"
    program.folder.mkdir(parents=True)
    np.save(program.folder / "embeddings.npy", np.eye(2, dtype=np.float32))
    (program.folder / "gallery.csv").write_text(TABLE)
    return program.folder


def test_the_gallery_is_an_index_and_its_images_lie_in_the_workspace(folder, program, tmp_path):
    index = read_gallery(program)
    assert index.rows.label.tolist() == ["a", "b"]
    assert index.file(index.rows.path[0]) == tmp_path / "data" / "a" / "1.png"
    assert index.rows.path[1] == ""
    assert read_gallery(program, tmp_path / "x").file("data/a/1.png") == tmp_path / "x" / "a" / "1.png"


def test_the_gallery_becomes_an_index_on_disk(folder, program, tmp_path):
    build_from_gallery(tmp_path / "i", read_gallery(program), program)
    index = read_index(tmp_path / "i", program.fingerprint)
    assert np.array_equal(index.vectors, np.eye(2))
    assert index.file(index.rows.path[0]) == tmp_path / "data" / "a" / "1.png"


@pytest.mark.parametrize(
    ("name", "damage", "error", "message"),
    [
        ("gallery.csv", lambda p: p.unlink(), ModelError, "cannot be read"),
        ("gallery.csv", lambda p: p.write_text("image_id\na\n"), ModelError, "1 gallery rows"),
        ("embeddings.npy", lambda p: p.write_bytes(p.read_bytes()[:100]), ModelError, "cannot be read"),
        ("embeddings.npy", lambda p: np.save(p, np.eye(2, dtype=np.float32) * np.nan), ModelError, "0 is NaN"),
    ],
)
def test_a_damaged_gallery_is_one_line(folder, program, name, damage, error, message):
    damage(folder / name)
    with pytest.raises(error, match=message):
        read_gallery(program)


def test_an_empty_gallery_is_one_line(folder, program):
    (folder / "gallery.csv").write_text("image_id,label\n")
    np.save(folder / "embeddings.npy", np.empty((0, 2), np.float32))
    with pytest.raises(DataError, match="gallery is empty"):
        read_gallery(program)


def test_calibration_is_read_in_whole_in_part_or_not_at_all(tmp_path):
    assert load_certainty(tmp_path) == Certainty()
    pairs = {"method": "logistic", "scores": [1.0, 0.0], "probabilities": []}
    (tmp_path / "calibration.json").write_text(json.dumps({"pairs": pairs, "classes": None}))
    part = load_certainty(tmp_path)
    assert (part.pairs(0.0), part.temperature, part.unknown, part.conformal) == (0.5, None, None, None)
    whole = {
        "pairs": pairs, "classes": {"temperature": 2.0},
        "unknown": {"threshold": 1.5, "false_match_rate": 0.05, "classes": 2},
        "conformal": {"cut": 0.3, "coverage": 0.9, "n": 40},
    }  # fmt: skip
    (tmp_path / "calibration.json").write_text(json.dumps(whole))
    certainty = load_certainty(tmp_path)
    assert (certainty.temperature, certainty.unknown.threshold, certainty.conformal.cut) == (2.0, 1.5, 0.3)


@pytest.mark.parametrize("text", ["", "[]", '{"pairs": {"method": "logistic"}}', '{"conformal": {"cut": 1}}'])
def test_a_damaged_calibration_is_one_line(tmp_path, text):
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(ModelError, match=r"calibration\.json: damaged"):
        load_certainty(tmp_path)
