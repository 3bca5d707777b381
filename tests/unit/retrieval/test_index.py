import multiprocessing
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval import index as module
from twinfolio.retrieval.index import IndexWriter, read_index


def content(n, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    names = [f"{seed}/{i:03}" for i in range(n)]
    rows = pd.DataFrame({"image_id": names, "tile": 0, "label": "001", "group": names, "cluster": names})
    return vectors, rows.assign(content="abc")


def write(folder, n=5, seed=0, fingerprint="model a", **kwargs):
    with IndexWriter(folder, **kwargs) as writer:
        writer.write(*content(n, seed), fingerprint)


def test_what_is_written_is_read_and_text_stays_text(tmp_path):
    write(tmp_path / "i", n=7)
    index = read_index(tmp_path / "i", "model a")
    vectors, rows = content(7)
    assert np.array_equal(index.vectors, vectors)
    pd.testing.assert_frame_equal(index.rows, rows, check_dtype=False)
    assert (len(index), index.n_images, index.backend) == (7, 7, "exact")


def test_an_index_of_another_model_is_refused(tmp_path):
    write(tmp_path / "i")
    with pytest.raises(ModelError, match="made by model model a, not by model b"):
        read_index(tmp_path / "i", "model b")


@pytest.mark.parametrize("name", ["vectors.npy", "rows.csv", "index.json"])
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
        path.write_bytes(raw[:20] + bytes([raw[20] ^ 255]) + raw[21:])
    with pytest.raises(DataError, match=f"{name}.*(damaged|missing)"):
        read_index(tmp_path / "i")


def test_no_index_no_rows_and_no_numbers_are_one_line_each(tmp_path):
    with pytest.raises(DataError, match="no index here"):
        read_index(tmp_path)
    with pytest.raises(DataError, match="no image"):
        write(tmp_path / "i", n=0)
    with pytest.raises(ModelError, match="NaN"), IndexWriter(tmp_path / "i") as writer:
        writer.write(content(2)[0] * np.nan, content(2)[1], "a")


def test_a_reader_keeps_the_generation_it_opened(tmp_path):
    write(tmp_path / "i", seed=0)
    old = read_index(tmp_path / "i")
    write(tmp_path / "i", n=9, seed=1)
    assert np.array_equal(old.vectors, content(5)[0])
    assert len(read_index(tmp_path / "i")) == 9
    assert len(list((tmp_path / "i").glob("g*"))) == 1


def dying_writer(folder):
    module._crc = lambda path: os.kill(os.getpid(), signal.SIGKILL)  # vectors are written, nothing points at them
    write(folder, n=9, seed=1)


def test_a_writer_killed_half_way_leaves_the_old_index_in_use(tmp_path):
    write(tmp_path / "i")
    worker = multiprocessing.get_context("fork").Process(target=dying_writer, args=(tmp_path / "i",))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert np.array_equal(read_index(tmp_path / "i").vectors, content(5)[0])
    write(tmp_path / "i", n=6)
    assert len(read_index(tmp_path / "i")) == 6


def slow_writer(folder, ready):
    with IndexWriter(folder):
        ready.set()
        time.sleep(1.0)


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
