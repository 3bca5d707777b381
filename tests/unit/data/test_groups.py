import logging

import pytest

from twinfolio.data.groups import groups_from_file, groups_from_pattern
from twinfolio.errors import DataError

PATHS = ["a/p01_t1.jpg", "a/quire/p02_t1.jpg", "b/p01_t1.jpg"]
IDS = ["a/p01_t1", "a/quire/p02_t1", "b/p01_t1"]


@pytest.mark.parametrize("pattern", [r"p\d+", r"(p\d+)_t"])
def test_the_whole_match_or_the_first_group_names_the_page_within_its_class(pattern):
    assert groups_from_pattern(PATHS, IDS, pattern) == ["a/p01", "a/p02", "b/p01"]


def test_the_pattern_is_searched_below_the_class_folder():
    assert groups_from_pattern(["p1/x_p2.jpg", "p1/p3.jpg"], ["p1/x_p2", "p1/p3"], r"p\d") == ["p1/p2", "p1/p3"]


def test_an_image_without_a_match_stands_alone_and_is_counted(caplog):
    with caplog.at_level(logging.WARNING, logger="twinfolio"):
        assert groups_from_pattern(PATHS, IDS, r"p02|zzz") == ["a/p01_t1", "a/p02", "b/p01_t1"]
    assert "2 images have no group" in caplog.text


@pytest.mark.parametrize("pattern", ["zzz", "z*", "(z)?p"])
def test_a_pattern_that_matches_nothing_stops(pattern):
    with pytest.raises(DataError, match=r"group_pattern = .* matches no path"):
        groups_from_pattern(PATHS, IDS, pattern)


def _file(tmp_path, *rows):
    (tmp_path / "groups.csv").write_text("\n".join(["path,group", *rows]), encoding="utf-8-sig")
    return tmp_path / "groups.csv"


def test_groups_come_from_a_table_whatever_its_order(tmp_path):
    file = _file(tmp_path, "b/p01_t1.jpg,001", "a/p01_t1.jpg,NA", "a/quire/p02_t1.jpg,001")
    assert groups_from_file(PATHS, file) == ["a/NA", "a/001", "b/001"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], r"b/p01_t1.jpg has no row \(1 such\)"),
        (lambda rows: [*rows, "b/other.jpg,1"], "b/other.jpg is not among the images"),
        (lambda rows: [*rows, rows[0]], "a/p01_t1.jpg has two rows"),
        (lambda rows: [*rows[:-1], "b/p01_t1.jpg,"], "b/p01_t1.jpg has an empty group"),
    ],
)
def test_a_table_that_does_not_fit_the_images_stops(tmp_path, change, message):
    rows = [f"{path},1" for path in PATHS]
    assert groups_from_file(PATHS, _file(tmp_path, *rows)) == ["a/1", "a/1", "b/1"]
    with pytest.raises(DataError, match=message):
        groups_from_file(PATHS, _file(tmp_path, *change(rows)))


def test_an_image_that_was_left_out_may_have_a_row(tmp_path):
    file = _file(tmp_path, *[f"{path},1" for path in PATHS], "b/corrupt.jpg,1")
    assert groups_from_file(PATHS, file, allowed=["b/corrupt.jpg"]) == ["a/1", "a/1", "b/1"]


def test_a_missing_table_or_column_stops(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        groups_from_file(PATHS, tmp_path / "absent.csv")
    (tmp_path / "groups.csv").write_text("path,page\n")
    with pytest.raises(DataError, match="it needs path and group"):
        groups_from_file(PATHS, tmp_path / "groups.csv")
