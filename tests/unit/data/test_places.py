from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinfolio.data.sources.places import load_places
from twinfolio.errors import DataError

PLACES = Path(__file__).resolve().parents[4] / "shared" / "data" / "place_recognition_pairs.zip"


@pytest.fixture
def folder(tmp_path):
    for side in ("query", "reference"):
        (tmp_path / side).mkdir()
        for name in ("0001", "0002", "0003", "0004"):
            Image.new("RGB", (8, 8)).save(tmp_path / side / f"{name}.jpg")
    return tmp_path


def test_a_query_is_answered_by_the_reference_of_its_name(folder):
    judged = load_places(folder)
    np.testing.assert_array_equal(judged.sim, np.eye(4, dtype=bool))
    assert judged.fov is None
    assert (judged.queries[1], judged.maps[1]) == ("query/0002.jpg", "reference/0002.jpg")


def test_frames_near_by_are_right_too_by_a_falling_grade(folder):
    judged = load_places(folder, frames=2)
    np.testing.assert_allclose(judged.fov[0], [1, 2 / 3, 1 / 3, 0], rtol=1e-6)
    np.testing.assert_array_equal(judged.sim, judged.fov > 0)
    np.testing.assert_array_equal(judged.fov, judged.fov.T)


def test_a_place_seen_once_is_named(folder):
    (folder / "reference" / "0003.jpg").unlink()
    with pytest.raises(DataError, match="query: 0003 has no counterpart in reference"):
        load_places(folder)
    (folder / "query" / "0003.jpg").unlink()
    Image.new("RGB", (8, 8)).save(folder / "reference" / "0009.jpg")
    with pytest.raises(DataError, match="reference: 0009 has no counterpart in query"):
        load_places(folder)


@pytest.mark.skipif(not PLACES.exists(), reason="needs ../shared/data/place_recognition_pairs.zip")
@pytest.mark.parametrize(("name", "count"), [("SPED_Test", 581), ("ESSEX3IN1", 210), ("Gardens_Point", 200)])
def test_the_real_places_are_whole(name, count, tmp_path):
    import zipfile

    with zipfile.ZipFile(PLACES) as archive:
        own = [member for member in archive.namelist() if f"{name}/" in member]
        archive.extractall(tmp_path, own)
    root = next(path.parent for path in tmp_path.rglob("query") if path.is_dir())
    assert load_places(root).sim.shape == (count, count)
