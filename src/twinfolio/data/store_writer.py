"""Writing the store: decode and resize every image once, in parallel, and fill train up with augmented copies.

The arrays are preallocated in a folder beside the target, worker processes write disjoint rows into them, and the
folder is renamed when all is done: no half-written store is ever taken for a whole one.
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from twinfolio.data.images import UnreadableImageError, decode
from twinfolio.data.manifest import SPLITS, UNKNOWN
from twinfolio.data.store import INFO_FILE, StoreInfo, fit_image
from twinfolio.data.store_plan import ImageTask, Rendering, describe, plan_rows, tasks_of
from twinfolio.data.tiling import cut_tiles, decode_target, tile_count
from twinfolio.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 8
"""Images a worker takes at a time."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_store(
    manifest: pd.DataFrame,
    data_dir: Path,
    target: Path,
    rendering: Rendering,
    *,
    per_class: int | None = None,
    max_copies: int = 3,
    workers: int | None = None,
) -> StoreInfo:
    """Write the whole store.

    Train holds the originals in the manifest's order, then the copies. All other splits hold each image once. The same
    arguments give the same bytes, whatever the number of workers.

    Args:
        manifest: The split's manifest.
        data_dir: The folder that its paths are relative to.
        target: The store's folder; replaced as a whole when everything is written.
        rendering: How an image becomes rows.
        per_class: Train rows that a class is filled up to; None: as many as the largest class has.
        max_copies: At most this many copies of one image (or tile).
        workers: Processes; None: one a core; 1: this one.

    Returns:
        What was written into ``store.json``.

    Raises:
        DataError: An image cannot be read any more, the disk is full, or the target cannot be written.
    """
    plans = {
        split: plan_rows(
            manifest[manifest["split"] == split], rendering, per_class, max_copies if split == "train" else 0
        )
        for split in (*SPLITS, UNKNOWN)
    }
    info = describe(manifest, plans, rendering)
    rows = sum(len(plan) for plan in plans.values())
    with _replacing(target, rows * int(np.prod(rendering.row_shape))) as partial_dir:
        for split, plan in plans.items():
            _write_tables(partial_dir / split, plan, [*info.classes, *info.unknown_classes])
            _allocate(partial_dir / split / "images.npy", (len(plan), *rendering.row_shape))
        _write_images(manifest, plans, data_dir, partial_dir, rendering, workers)
        text = json.dumps(asdict(info), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (partial_dir / INFO_FILE).write_text(text, encoding="utf-8")
    return info


def render(task: ImageTask, rendering: Rendering) -> Iterator[tuple[int, np.ndarray]]:
    """Decode one image and yield its rows: (position, (size, size, channels) uint8).

    Raises:
        DataError: The file was readable when it was split and is not now.
    """
    try:
        tiles = render_image(task.path, task.width, task.height, rendering)
    except UnreadableImageError as error:
        raise DataError(f"{task.path}: {error.reason}, but it was readable when split", "run split again") from None
    for position, tile, copy in task.rows:
        row = tiles[tile]
        if copy:
            row = _augmented(row, task.image_id, tile, copy, rendering)
        yield position, in_channels(row, rendering)


def render_image(path: Path, width: int, height: int, rendering: Rendering) -> np.ndarray:
    """Decode one image to its tiles (T, size, size, 3), or to itself as the only one.

    Args:
        path: The file.
        width: Of the image after its EXIF rotation, in pixels.
        height: Likewise.
        rendering: How an image becomes rows.

    Raises:
        UnreadableImageError: It cannot be decoded.
    """
    size = rendering.size
    count = tile_count(width, height, size, rendering.tiles, rendering.tile_above)
    page = decode(path, decode_target(width, height, count, size) if count > 1 else size)
    return cut_tiles(page, count, size) if count > 1 else fit_image(page, size, rendering.fit)[None]


def _augmented(image: np.ndarray, image_id: str, tile: int, copy: int, rendering: Rendering) -> np.ndarray:
    from twinfolio.data.augmentation import augment_image, copy_seed

    return augment_image(image, rendering.policy, copy_seed(rendering.seed, image_id, tile, copy))


def in_channels(image: np.ndarray, rendering: Rendering) -> np.ndarray:
    """An RGB row as the rendering has it: (size, size, 3) or, in grey, (size, size, 1)."""
    import cv2

    if rendering.channels == 3:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[..., None]


def _write_images(
    manifest: pd.DataFrame,
    plans: dict[str, pd.DataFrame],
    data_dir: Path,
    folder: Path,
    rendering: Rendering,
    workers: int | None,
) -> None:
    """Render all splits into their preallocated arrays, in this process or in a pool."""
    chunks = [
        (folder / split / "images.npy", tasks[start : start + CHUNK])
        for split, plan in plans.items()
        for tasks in [tasks_of(manifest, plan, data_dir)]
        for start in range(0, len(tasks), CHUNK)
    ]
    workers = min(workers or _cores(), max(1, len(chunks)))
    work = partial(_write_chunk, rendering=rendering)
    with tqdm(total=len(manifest), desc="writing store", unit="image", mininterval=0.5) as bar:
        if workers == 1:
            for chunk in chunks:
                bar.update(work(chunk))
            return
        with ProcessPoolExecutor(workers, _context(rendering, plans), _start_worker) as pool:
            try:
                for done in pool.map(work, chunks):
                    bar.update(done)
            except BrokenProcessPool:
                raise DataError(
                    "a process that writes the store died", "free memory or lower augment.workers"
                ) from None
            finally:
                pool.shutdown(cancel_futures=True)


def _write_chunk(chunk: tuple[Path, list[ImageTask]], rendering: Rendering) -> int:
    """Write the rows of some images, and say how many images they were."""
    path, tasks = chunk
    row_bytes = int(np.prod(rendering.row_shape))
    # write(), not a memory map: where the disk is full a map kills the process (SIGBUS), write() raises
    with path.open("r+b", buffering=0) as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        start = file.tell()
        for task in tasks:
            for position, row in render(task, rendering):
                file.seek(start + position * row_bytes)
                file.write(np.ascontiguousarray(row).data)
    return len(tasks)


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """Create an array file with its header and the disk space of all its rows."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        start, size = file.tell(), int(np.prod(shape))
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), start, size)
        file.truncate(start + size)


def _write_tables(folder: Path, plan: pd.DataFrame, classes: list[str]) -> None:
    folder.mkdir()
    place = {label: number for number, label in enumerate(classes)}
    np.save(folder / "labels.npy", np.array([place[label] for label in plan["label"]], dtype=np.int64))
    plan.to_csv(folder / "index.csv", index=False, encoding="utf-8", lineterminator="\n")


@contextmanager
def _replacing(target: Path, need: int) -> Iterator[Path]:
    """A folder beside ``target`` that takes its place on success and vanishes on any error."""
    partial_dir, old = (target.with_name(f".{target.name}.{word}") for word in ("partial", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left_over in (partial_dir, old):
            if left_over.exists():
                shutil.rmtree(left_over)
        _check_space(target, need)
        partial_dir.mkdir()
        yield partial_dir
        if target.exists():
            target.rename(old)
        partial_dir.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if error.errno in _FULL:
            raise DataError(f"{target}: the disk is full", _make_room(need)) from None
        raise DataError(
            f"{target}: cannot be written ({error.strerror or error})", "choose a writable folder"
        ) from None
    finally:
        shutil.rmtree(partial_dir, ignore_errors=True)


def _check_space(target: Path, need: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < need:
        raise DataError(f"{target}: the disk has only {free / 2**20:.0f} MiB free", _make_room(need))


def _make_room(need: int) -> str:
    return f"make room for {need / 2**20:.0f} MiB, or lower augment.store.size or augment.max_copies"


def _context(rendering: Rendering, plans: dict[str, pd.DataFrame]) -> multiprocessing.context.BaseContext:
    """Processes that share one costly import of the augmentation library, and never fork a process with threads."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    if any((plan["copy"] > 0).any() for plan in plans.values()):
        context.set_forkserver_preload(["twinfolio.data.store_writer", "twinfolio.data.augmentation"])
    return context


def _start_worker() -> None:
    import cv2

    cv2.setNumThreads(1)  # the pool has a process a core already


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
