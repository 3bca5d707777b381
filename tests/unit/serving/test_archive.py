import numpy as np
import pytest
from PIL import Image

from twinfolio.data.store_plan import Rendering
from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.cache import EmbeddingCache
from twinfolio.retrieval.index import read_index
from twinfolio.serving import archive


class Program:
    """Embeds an image as its mean colour."""

    fingerprint = "weights"
    rendering = Rendering(size=32)

    def embed(self, rows):
        return rows.mean((1, 2)).astype(np.float32)


def save(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        save(tmp_path / "leaves" / f"codex {number % 2}" / f"p{number // 2}_t{number}.png", number)
    save(tmp_path / "leaves" / "loose.png", 9)
    (tmp_path / "leaves" / "codex 0" / "broken.jpg").write_text("no image")
    return tmp_path / "leaves"


@pytest.fixture
def embed(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache.sqlite", "weights")
    return lambda folder, **kwargs: archive.embed_folder(folder, Program(), cache, **kwargs)


def test_a_folder_becomes_an_index_and_what_is_broken_is_listed(folder, embed, tmp_path):
    embedded = embed(folder, group_pattern=r"p\d")
    archive.build(tmp_path / "i", embedded, Program())
    index = read_index(tmp_path / "i")
    assert embedded.left_out == [("codex 0/broken.jpg", "not an image")]
    assert index.rows["image_id"].tolist()[0] == "leaves/codex 0/p0_t0.png"
    assert set(index.rows["label"]) == {"codex 0", "codex 1", ""}
    assert index.rows["group"].nunique() == 4
    assert archive.summary(index)["images"] == 7


def test_a_second_build_embeds_only_what_is_new(folder, embed):
    assert embed(folder).computed == 7
    save(folder / "codex 1" / "new.png", 77)
    again = embed(folder)
    assert again.computed == 1
    assert len(again.rows) == 8


def test_images_are_added_replaced_and_removed(folder, embed, tmp_path):
    archive.build(tmp_path / "i", embed(folder), Program())
    save(tmp_path / "more" / "codex 2" / "a.png", 50)
    assert archive.add(tmp_path / "i", embed(tmp_path / "more"), Program()) == (1, 0)
    save(tmp_path / "more" / "codex 2" / "a.png", 51)
    assert archive.add(tmp_path / "i", embed(tmp_path / "more"), Program()) == (0, 1)
    assert read_index(tmp_path / "i").n_images == 8
    assert archive.remove(tmp_path / "i", ["leaves/codex 1/*", "more/*"]) == 4
    assert read_index(tmp_path / "i").n_images == 4


def test_removing_nothing_or_everything_is_refused(folder, embed, tmp_path):
    archive.build(tmp_path / "i", embed(folder), Program())
    with pytest.raises(DataError, match="no image is called nothing"):
        archive.remove(tmp_path / "i", ["nothing"])
    with pytest.raises(DataError, match="no image would be left"):
        archive.remove(tmp_path / "i", ["*"])


def test_an_index_of_another_model_takes_nothing(folder, embed, tmp_path):
    archive.build(tmp_path / "i", embed(folder), Program())
    other = Program()
    other.fingerprint = "others"
    with pytest.raises(ModelError, match="made by model"):
        archive.add(tmp_path / "i", embed(folder), other)
