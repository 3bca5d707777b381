import multiprocessing
import sqlite3

import numpy as np
import pytest

from twinfolio.errors import DataError
from twinfolio.retrieval.cache import EmbeddingCache, embed_new


def vectors(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "cache" / "e.sqlite", "weights+transform")


def test_what_is_put_is_got_bit_by_bit_and_other_programs_see_nothing(cache):
    cache.put({"a": vectors(1), "tiled": vectors(3, 1)})
    got = cache.get(["a", "tiled", "unknown"])
    assert set(got) == {"a", "tiled"}
    assert np.array_equal(got["tiled"], vectors(3, 1))
    assert EmbeddingCache(cache.path, "other weights").get(["a"]) == {}


def test_ten_new_images_among_thousands_are_ten_embeddings(cache):
    contents = [f"image {i}" for i in range(1200)]
    asked = []

    def embed(positions):
        asked.append(list(positions))
        yield from ((position, vectors(1, position)) for position in positions)

    assert embed_new(contents, embed, cache)[1] == 1200
    found, computed = embed_new([*contents, *(f"new {i % 10}" for i in range(20))], embed, cache)
    assert computed == 10
    assert asked[1] == list(range(1200, 1210))
    assert len(found) == 1210
    assert np.array_equal(found["image 7"], vectors(1, 7))


def test_a_run_that_dies_half_way_is_continued(cache):
    def dying(positions):
        for position in positions:
            if position == 600:
                raise KeyboardInterrupt
            yield position, vectors(1, position)

    contents = [str(i) for i in range(700)]
    with pytest.raises(KeyboardInterrupt):
        embed_new(contents, dying, cache)
    assert len(cache.get(contents)) == 500


def test_an_image_that_cannot_be_read_is_left_out(cache):
    found, computed = embed_new(["a", "b"], lambda positions: [(0, vectors(1))], cache)
    assert (set(found), computed) == ({"a"}, 1)


def write(path, name):
    EmbeddingCache(path, "p").put({f"{name}{i}": vectors(1, i) for i in range(50)})


def test_processes_write_at_once(tmp_path):
    path = tmp_path / "e.sqlite"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=write, args=(path, name)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(EmbeddingCache(path, "p").get(f"{name}{i}" for name in "abc" for i in range(50))) == 150


def test_a_broken_file_is_one_line(tmp_path):
    (tmp_path / "e.sqlite").write_text("no database " * 100)
    with pytest.raises(DataError, match="delete this file"):
        EmbeddingCache(tmp_path / "e.sqlite", "p")


def test_a_damaged_entry_is_made_anew(cache):
    cache.put({"a": vectors(3)})
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE embeddings SET vectors = substr(vectors, 1, 5)")
    found, computed = embed_new(["a"], lambda positions: [(0, vectors(2))], cache)
    assert computed == 1
    assert np.array_equal(cache.get(["a"])["a"], found["a"])
