import numpy as np
import pytest

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.index import Index, Provenance, read_index
from twinfolio.retrieval.rows import Rows
from twinfolio.serving import archive


def test_a_folder_becomes_an_index_and_what_is_broken_is_listed(folder, embed, program, tmp_path):
    archive.build(tmp_path / "i", embed(folder, group_pattern=r"p\d"), program)
    index = read_index(tmp_path / "i")
    assert index.provenance.left_out == {"leaves/codex 0/broken.jpg": "not an image"}
    assert (tmp_path / "i/g000001/left_out.csv").read_text() == "path,reason\nleaves/codex 0/broken.jpg,not an image\n"
    assert index.rows.image_id[0] == "leaves/codex 0/p0_t0.png"
    assert set(index.rows.label) == {"codex 0", "codex 1", ""}
    assert sorted(set(index.rows.group)) == [
        *(f"leaves/codex {codex}/p{page}" for codex in range(2) for page in range(3)), "leaves/loose.png",
    ]  # fmt: skip
    assert archive.summary(index)["images"] == 7
    assert index.file(index.rows.path[0]) == folder / "codex 0" / "p0_t0.png"


def test_images_are_added_replaced_and_removed(folder, embed, program, tmp_path, save):
    archive.build(tmp_path / "i", embed(folder), program)
    save(tmp_path / "more" / "codex 2" / "a.png", 50)
    assert archive.add(tmp_path / "i", embed(tmp_path / "more"), program) == (1, 0)
    save(tmp_path / "more" / "codex 2" / "a.png", 51)
    assert archive.add(tmp_path / "i", embed(tmp_path / "more"), program) == (0, 1)
    index = read_index(tmp_path / "i")
    assert index.rows.n_images == 8
    assert index.provenance.left_out == {"leaves/codex 0/broken.jpg": "not an image"}
    assert set(index.provenance.sources) == {"leaves", "more"}
    assert archive.remove(tmp_path / "i", ["leaves/codex 1/*", "more/*"], program) == 4
    assert read_index(tmp_path / "i").rows.n_images == 4


def test_an_image_that_was_mended_is_no_longer_left_out(folder, embed, program, tmp_path, save):
    archive.build(tmp_path / "i", embed(folder), program)
    save(folder / "codex 0" / "broken.jpg", 123)
    assert archive.add(tmp_path / "i", embed(folder), program) == (1, 7)
    assert read_index(tmp_path / "i").provenance.left_out == {}


def test_two_folders_of_one_name_are_kept_apart(folder, embed, program, tmp_path, save):
    archive.build(tmp_path / "i", embed(folder), program)
    other = save(tmp_path / "elsewhere" / "leaves" / "loose.png", 3).parent
    with pytest.raises(DataError, match=r"leaves already stands for .*--name"):
        archive.add(tmp_path / "i", embed(other), program)
    assert archive.add(tmp_path / "i", embed(other, source="others"), program) == (1, 0)
    with pytest.raises(DataError, match="not a name"):
        embed(other, source="a/b")


def test_a_hundred_corrupt_files_among_a_thousand_are_listed_and_the_rest_served(tmp_path, save, program, embed):
    raw = [save(tmp_path / "seed.png", seed, (8, 8)).read_bytes() for seed in range(2)]
    bad = [b"", b"no image", raw[0][:60]]
    (tmp_path / "many").mkdir()
    for number in range(1000):
        content = bad[number // 10 % 3] if number % 10 == 3 else raw[number % 2] + str(number).encode()
        (tmp_path / "many" / f"{number:04}.png").write_bytes(content)
    archive.build(tmp_path / "i", embed(tmp_path / "many"), program)
    index = read_index(tmp_path / "i")
    assert index.rows.n_images == 900
    assert set(index.provenance.left_out) == {f"many/{number:04}.png" for number in range(3, 1000, 10)}
    assert set(index.provenance.left_out.values()) == {"empty file", "not an image", "truncated"}


def test_an_empty_folder_is_one_line_and_leaves_the_old_index(folder, embed, program, tmp_path):
    archive.build(tmp_path / "i", embed(folder), program)
    (tmp_path / "empty").mkdir()
    for work in (archive.build, archive.add):
        with pytest.raises(DataError, match="no image to index"):
            work(tmp_path / "i", embed(tmp_path / "empty"), program)
    assert read_index(tmp_path / "i").rows.n_images == 7


def test_removing_nothing_or_everything_is_refused(folder, embed, program, tmp_path):
    archive.build(tmp_path / "i", embed(folder), program)
    with pytest.raises(DataError, match="no image is called nothing"):
        archive.remove(tmp_path / "i", ["nothing"], program)
    with pytest.raises(DataError, match="no image would be left"):
        archive.remove(tmp_path / "i", ["*"], program)


def test_an_index_of_another_model_takes_nothing(folder, embed, program, tmp_path):
    archive.build(tmp_path / "i", embed(folder), program)
    program.fingerprint = "others"
    with pytest.raises(ModelError, match="made by model"):
        archive.add(tmp_path / "i", embed(folder), program)


def test_an_empty_index_cannot_be_searched(program):
    with pytest.raises(DataError, match="is empty"):
        archive.prepare(Index(np.empty((0, 3), np.float32), Rows.of([]), Provenance("m"), "here"), program)
