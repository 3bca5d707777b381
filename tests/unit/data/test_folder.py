import pytest

from twinfolio.data.sources.folder import class_of, list_images
from twinfolio.errors import DataError


def _touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def test_images_of_class_folders_are_listed_at_any_depth_in_order(tmp_path):
    _touch(tmp_path, "b/2.jpg", "b/1.PNG", "a/quire 1/ورقة.tif", "a/x.jpeg", "ä ö/z.webp")
    listing = list_images(tmp_path)
    assert listing.paths == ("a/quire 1/ورقة.tif", "a/x.jpeg", "b/1.PNG", "b/2.jpg", "ä ö/z.webp")
    assert listing.left_out == ()
    assert listing.others == 0


def test_hidden_files_do_not_exist_and_other_files_are_counted(tmp_path):
    _touch(
        tmp_path, "a/1.jpg", "a/.2.jpg", ".git/3.jpg", "a/.thumbs/4.jpg", "__MACOSX/a/5.jpg", "a/notes.txt", "README"
    )
    listing = list_images(tmp_path)
    assert listing.paths == ("a/1.jpg",)
    assert listing.others == 2


def test_an_image_outside_a_class_folder_is_left_out_with_a_reason(tmp_path):
    _touch(tmp_path, "a/1.jpg", "stray.jpg")
    listing = list_images(tmp_path)
    assert listing.paths == ("a/1.jpg",)
    assert listing.left_out == (("stray.jpg", "not in a class folder"),)


def test_a_name_that_is_not_utf_8_is_left_out(tmp_path):
    _touch(tmp_path, "a/1.jpg")
    try:
        _touch(tmp_path, "a/\udcff.jpg")
    except (OSError, UnicodeError):
        pytest.skip("this file system only takes UTF-8 names")
    listing = list_images(tmp_path)
    assert listing.paths == ("a/1.jpg",)
    assert listing.left_out == (("a/\ufffd.jpg", "name is not UTF-8"),)


def test_links_are_followed_but_not_in_circles(tmp_path):
    _touch(tmp_path, "elsewhere/1.jpg", "root/b/2.jpg")
    (tmp_path / "root" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "b" / "up").symlink_to(tmp_path / "root")
    assert list_images(tmp_path / "root").paths == ("a/1.jpg", "b/2.jpg")


@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_no_folder_is_an_error_of_one_line(tmp_path, name):
    _touch(tmp_path, "file")
    with pytest.raises(DataError, match="no such folder"):
        list_images(tmp_path / name)


def test_the_class_is_the_first_folder_and_none_for_an_image_outside():
    assert [class_of(path) for path in ("a/1.png", "a/deep/1.png", "1.png")] == ["a", "a", ""]
