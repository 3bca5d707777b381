import numpy as np
from PIL import Image, ImageColor

from twinfolio.reporting.sheet import QUERY, RIGHT, WRONG, SheetCell, write_sheet


def grey(channels=3):
    return np.full((30, 30, channels), 128, dtype=np.uint8)


def colours_of(path):
    return {tuple(pixel) for pixel in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)}


def test_queries_and_right_and_wrong_answers_are_framed_in_their_own_colours(tmp_path):
    write_sheet(
        tmp_path / "s.png",
        [[SheetCell(grey(), "q", None), SheetCell(grey(), "a", True), SheetCell(grey(), "b", False)]],
    )
    assert {ImageColor.getrgb(c) for c in (QUERY, RIGHT, WRONG)} <= colours_of(tmp_path / "s.png")


def test_a_sheet_without_wrong_answers_has_no_red(tmp_path):
    write_sheet(tmp_path / "s.png", [[SheetCell(grey(), "q", None), SheetCell(grey(), "a", True)]])
    assert ImageColor.getrgb(WRONG) not in colours_of(tmp_path / "s.png")


def test_sheets_repeat_byte_by_byte_and_take_grey_images_and_any_script(tmp_path):
    rows = [[SheetCell(grey(1), "مخطوط عربي طويل جدا جدا جدا\n0.93", None)], []]
    write_sheet(tmp_path / "a.png", rows)
    write_sheet(tmp_path / "b.png", rows)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_rows_may_differ_in_length_and_none_is_no_error(tmp_path):
    cell = SheetCell(grey(), "a" * 500, True)
    write_sheet(tmp_path / "a.png", [[cell], [cell, cell, cell]], cell=64)
    write_sheet(tmp_path / "none.png", [])
    assert Image.open(tmp_path / "a.png").size[0] > 3 * 64
