import numpy as np
import pytest
from PIL import Image

from twinfolio.data.judged_images import read_images
from twinfolio.data.sources.judged import Judged
from twinfolio.errors import DataError

JUDGED = Judged(["query/a.png", "query/b.png"], ["map/k.png", "map/l.png", "map/m.png"], np.eye(2, 3, dtype=bool), None)


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate([*JUDGED.queries, *JUDGED.maps]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (12, 8), (10 * number, 0, 0)).save(tmp_path / name)
    return tmp_path


def test_images_keep_the_order_of_their_judgments_and_their_size(folder):
    found = read_images(folder, JUDGED, None)
    assert (found.queries.shape, found.maps.shape) == ((2, 8, 12, 3), (3, 8, 12, 3))
    assert found.maps[:, 0, 0, 0].tolist() == [20, 30, 40]
    assert found.left_out == ()


@pytest.mark.parametrize("size", [(4, 6), (16, 10)])
def test_images_are_brought_to_the_size_asked_for(folder, size):
    assert read_images(folder, JUDGED, size).queries.shape == (2, *size, 3)


def test_the_first_image_sets_the_size_of_all(folder):
    Image.new("RGB", (30, 30)).save(folder / "map/l.png")
    assert read_images(folder, JUDGED, None).maps.shape == (3, 8, 12, 3)


def test_what_cannot_be_read_is_left_out_with_its_judgments(folder):
    (folder / "query/a.png").write_bytes(b"")
    (folder / "map/m.png").write_text("no image")
    found = read_images(folder, JUDGED, None)
    assert found.left_out == (("query/a.png", "empty file"), ("map/m.png", "not an image"))
    assert (found.judged.queries, found.judged.maps) == (["query/b.png"], ["map/k.png", "map/l.png"])
    np.testing.assert_array_equal(found.judged.sim, [[False, True]])
    assert (len(found.queries), len(found.maps)) == (1, 2)


def test_a_side_without_a_readable_image_is_one_line(folder):
    for name in JUDGED.queries:
        (folder / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"query/a\.png: empty file, and no other image there can be read"):
        read_images(folder, JUDGED, None)
