"""The sample on disk: complete, deterministic, never over something else."""

from __future__ import annotations

import pytest
from PIL import Image

from twinfolio.errors import DataError
from twinfolio.sample.generate import write_sample

TINY = {"manuscripts": 3, "pages": (1, 3)}


def pages_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "data"
    write_sample(out, seed=5, processes=1, **TINY)
    return out


def test_two_processes_give_the_pixels_of_one(sample, tmp_path):
    written = write_sample(tmp_path / "again", seed=5, processes=2, **TINY)
    one, two = pages_of(sample), pages_of(tmp_path / "again")
    assert written == len(one)
    assert one == two


def test_another_seed_gives_other_manuscripts(sample, tmp_path):
    write_sample(tmp_path / "other", seed=6, processes=1, manuscripts=2, pages=(1, 1))
    assert not set(pages_of(sample).values()) & set(pages_of(tmp_path / "other").values())


def test_a_page_is_a_colour_jpeg_of_224_by_160(sample):
    path = next(iter(sorted(sample.rglob("*.jpg"))))
    with Image.open(path) as page:
        assert (page.format, page.mode, page.size) == ("JPEG", "RGB", (160, 224))
    assert path.name == "p001.jpg"


def test_no_two_pages_are_alike(sample):
    pages = list(pages_of(sample).values())
    assert len(set(pages)) == len(pages) > 3


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "data").mkdir()
    assert write_sample(tmp_path / "data", seed=0, manuscripts=2, pages=(1, 1), processes=1) == 2
    assert len(pages_of(tmp_path / "data")) == 2


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder") as error:
        write_sample(tmp_path / "data", seed=0, manuscripts=2, pages=(1, 1), processes=1)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["data", "mine.txt"]


def test_a_run_that_stops_half_way_leaves_nothing(tmp_path, monkeypatch):
    from twinfolio.sample import page

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page, "encode_page", disk_full)
    with pytest.raises(DataError, match="No space left"):
        write_sample(tmp_path / "data", seed=0, manuscripts=2, pages=(1, 1), processes=1)
    assert not list(tmp_path.iterdir())
