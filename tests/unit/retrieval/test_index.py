import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval import index as module
from twinfolio.retrieval.index import IndexWriter, Provenance, export_index, read_index
from twinfolio.retrieval.rows import COLUMNS, Rows


def content(n, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    return vectors, Rows.of([(f"s/{seed}/{i:03}", "0", "001", "g", "c", "abc", f"s/{seed}/{i:03}") for i in range(n)])


def write(folder, n=5, seed=0, provenance=None, ann=None, **kwargs):
    with IndexWriter(folder, **kwargs) as writer:
        writer.write(*content(n, seed), provenance or Provenance("model a"), ann)


def test_what_is_written_is_read_and_text_stays_text(tmp_path):
    wanted = Provenance("model a", "l1", "hnsw", {"s": "/somewhere/é"}, {"s/bad, one.png": "not an image"})
    write(tmp_path / "i", 7, provenance=wanted, ann=b"graph")
    index = read_index(tmp_path / "i", "model a")
    vectors, rows = content(7)
    assert np.array_equal(index.vectors, vectors)
    assert all(getattr(index.rows, name).tolist() == getattr(rows, name).tolist() for name in COLUMNS)
    assert (len(index), index.provenance, index.name) == (7, wanted, str(tmp_path / "i"))
    assert index.ann.read_bytes() == b"graph"


def test_an_index_of_another_model_is_refused(tmp_path):
    write(tmp_path / "i")
    with pytest.raises(ModelError, match="made by model model a, not by model b"):
        read_index(tmp_path / "i", "model b")


@pytest.mark.parametrize("name", ["vectors.npy", "rows.csv", "left_out.csv", "index.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_file_is_named(tmp_path, name, damage):
    write(tmp_path / "i")
    path = tmp_path / "i" / "g000001" / name
    raw = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(raw[: len(raw) // 2])
    else:
        path.write_bytes(raw[:5] + bytes([raw[5] ^ 255]) + raw[6:])
    with pytest.raises(DataError, match=f"{name}.*(damaged|missing)"):
        read_index(tmp_path / "i")


def test_no_index_no_rows_and_no_numbers_are_one_line_each(tmp_path):
    with pytest.raises(DataError, match="no index here"):
        read_index(tmp_path)
    with pytest.raises(DataError, match="no image"):
        write(tmp_path / "i", n=0)
    vectors, rows = content(9)
    vectors[6, 2] = np.inf
    with pytest.raises(ModelError, match="embedding 6 is NaN"), IndexWriter(tmp_path / "i") as writer:
        writer.write(vectors, rows, Provenance("a"))


def test_an_index_does_not_move_in_with_other_files(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(DataError, match="holds other files"):
        write(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        write(tmp_path / "photo.jpg")
    with pytest.raises(DataError, match="no index here"):
        read_index(tmp_path / "photo.jpg")


def test_an_image_is_found_where_it_was_where_one_looks_or_nowhere(tmp_path):
    source, moved = tmp_path / "source", tmp_path / "moved"
    source.mkdir()
    moved.mkdir()
    (source / "a.png").touch()
    (moved / "b.png").touch()
    write(tmp_path / "i", provenance=Provenance("m", sources={"s": str(source)}))
    index = read_index(tmp_path / "i")
    assert index.file("s/a.png", moved) == source / "a.png"
    assert index.file("s/b.png", moved) == moved / "b.png"
    assert index.file("s/gone.png") == source / "gone.png"
    assert index.file("") is index.file("t/a.png") is None


def test_an_export_holds_vectors_and_rows(tmp_path):
    write(tmp_path / "i")
    export_index(read_index(tmp_path / "i"), tmp_path / "out" / "deep")
    assert sorted(path.name for path in (tmp_path / "out/deep").iterdir()) == [
        "left_out.csv",
        "rows.csv",
        "vectors.npy",
    ]
    assert np.array_equal(np.load(tmp_path / "out/deep/vectors.npy"), content(5)[0])
    assert len(Rows.read(tmp_path / "out/deep/rows.csv")) == 5


def test_a_reader_keeps_the_generation_it_opened(tmp_path):
    write(tmp_path / "i", seed=0)
    old = read_index(tmp_path / "i")
    write(tmp_path / "i", n=9, seed=1)
    assert np.array_equal(old.vectors, content(5)[0])
    assert len(read_index(tmp_path / "i")) == 9
    assert len(list((tmp_path / "i").glob("g*"))) == 1


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    die()


DEATHS = {
    "before the vectors": lambda patch: patch.setattr(module.np, "save", die),
    "in the vectors": lambda patch: patch.setattr(Rows, "write", lambda self, path: half(path.parent / "vectors.npy")),
    "before the checksums": lambda patch: patch.setattr(module, "_crc", die),
    "before the pointer": lambda patch: patch.setattr(module, "_sync", lambda path: path.is_dir() and die()),
    "in the pointer": lambda patch: patch.setattr(module, "_sync", lambda path: path.suffix == ".part" and half(path)),
}


def dying_writer(folder, death):
    with pytest.MonkeyPatch.context() as patch:
        DEATHS[death](patch)
        write(folder, n=9, seed=1)


@pytest.mark.parametrize("death", DEATHS)
def test_a_writer_killed_half_way_leaves_the_old_index_in_use(tmp_path, death):
    write(tmp_path / "i")
    worker = multiprocessing.get_context("fork").Process(target=dying_writer, args=(tmp_path / "i", death))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert np.array_equal(read_index(tmp_path / "i").vectors, content(5)[0])
    write(tmp_path / "i", n=6)
    assert len(read_index(tmp_path / "i")) == 6
    assert sorted(path.name for path in (tmp_path / "i").iterdir()) == [".lock", "current", "g000002"]


def test_the_first_writer_killed_half_way_leaves_no_index(tmp_path):
    worker = multiprocessing.get_context("fork").Process(target=dying_writer, args=(tmp_path / "i", "in the pointer"))
    worker.start()
    worker.join()
    with pytest.raises(DataError, match="no index here"):
        read_index(tmp_path / "i")
    write(tmp_path / "i")
    assert len(read_index(tmp_path / "i")) == 5


def busy_writer(folder):
    for seed in range(1000):
        write(folder, n=4000 + seed, seed=seed)


@pytest.mark.slow
def test_an_index_is_whole_whenever_its_writer_is_killed(tmp_path):
    write(tmp_path / "i", n=4000)
    context, delays = multiprocessing.get_context("fork"), np.random.default_rng(0).uniform(0.01, 0.15, 40)
    for delay in delays:
        worker = context.Process(target=busy_writer, args=(tmp_path / "i",))
        worker.start()
        time.sleep(delay)
        worker.kill()
        worker.join()
        index = read_index(tmp_path / "i")
        assert np.array_equal(index.vectors, content(len(index), len(index) - 4000)[0])


def slow_writer(folder, ready):
    with IndexWriter(folder):
        ready.set()
        time.sleep(0.5)


def test_of_two_writers_one_waits_or_says_so(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    worker = context.Process(target=slow_writer, args=(tmp_path / "i", ready))
    worker.start()
    ready.wait(10)
    with pytest.raises(DataError, match="another process is writing"):
        write(tmp_path / "i", patience=0.1)
    write(tmp_path / "i", patience=10)
    worker.join()
    assert len(read_index(tmp_path / "i")) == 5


def some_writes(folder, seed):
    for _ in range(10):
        write(folder, n=50 + seed, seed=seed)


def test_readers_see_whole_indexes_while_two_writers_take_turns(tmp_path):
    write(tmp_path / "i", n=50)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=some_writes, args=(tmp_path / "i", seed)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        index = read_index(tmp_path / "i")
        assert np.array_equal(index.vectors, content(len(index), len(index) - 50)[0])
    assert [worker.exitcode for worker in workers] == [0, 0]
