import numpy as np
import pytest

from twinfolio.errors import DataError


def test_a_second_build_embeds_only_what_is_new(folder, embed, save):
    assert embed(folder).computed == 7
    save(folder / "codex 1" / "new.png", 77)
    again = embed(folder)
    assert again.computed == 1
    assert len(again.rows) == 8


def test_an_image_whose_embedding_is_not_a_number_is_left_out_and_never_cached(folder, embed, tmp_path, save):
    save(folder / "black.png", None)
    for _ in range(2):
        assert embed(folder).left_out["leaves/black.png"] == "its embedding is NaN or infinite"


def test_the_whole_folder_is_never_embedded_at_once(tmp_path, save, program, embed):
    for number in range(70):
        save(tmp_path / "many" / f"{number}.png", number, (8, 8))
    assert embed(tmp_path / "many").computed == 70
    assert program.largest <= 32


@pytest.mark.parametrize(("pattern", "message"), [("p(", "--group-pattern"), ("folio", "--group-pattern.*matches no")])
def test_a_bad_pattern_is_one_line(folder, embed, pattern, message):
    with pytest.raises(DataError, match=message):
        embed(folder, group_pattern=pattern)


def test_equal_images_are_embedded_once_and_both_indexed(tmp_path, save, embed):
    for name in "ab":
        save(tmp_path / "twins" / f"{name}.png", 1)
    embedded = embed(tmp_path / "twins")
    assert embedded.computed == 1
    assert list(embedded.rows.image_id) == ["twins/a.png", "twins/b.png"]
    assert np.array_equal(*embedded.vectors)
