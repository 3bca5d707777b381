"""An index on disk: vectors, who they belong to, and the model they came from.

Layout::

    current             name of the generation in use; replaced in one step
    g000007/index.json  model fingerprint, backend, width, and size and CRC-32 of the other files
    g000007/vectors.npy float32 (R, D), a row a tile
    g000007/rows.csv    image_id, tile, label, group, cluster, content (SHA-256 of the image file)
    g000007/ann.faiss   the approximate index, where the backend has one
    .lock               held by whoever writes

A change writes a new generation and then points ``current`` at it: a reader sees the old one or the new one, and a
writer that is killed leaves the old one in use.
"""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from twinfolio.errors import DataError, ModelError

COLUMNS = ("image_id", "tile", "label", "group", "cluster", "content")
_POINTER, _META, _LOCK = "current", "index.json", ".lock"
VECTORS, ROWS, ANN = "vectors.npy", "rows.csv", "ann.faiss"
_BLOCK = 1 << 24
_PATIENCE = 30.0


@dataclass(frozen=True)
class Index:
    """An index as read.

    Attributes:
        vectors: float32 (R, D), memory-mapped.
        rows: R rows, ``COLUMNS``.
        fingerprint: Of the model that made the vectors.
        backend: ``exact``, ``hnsw`` or ``ivfpq``.
        folder: Where the files of this generation lie.
    """

    vectors: NDArray[np.float32]
    rows: pd.DataFrame
    fingerprint: str
    backend: str
    folder: Path

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_images(self) -> int:
        """Images, of which each has a row a tile."""
        return int(self.rows["image_id"].nunique())


class IndexWriter:
    """The one writer of an index; a second one waits, then gives up with a line.

    Args:
        folder: The index's folder; made where it is missing.
        patience: Seconds it waits for another writer.
    """

    def __init__(self, folder: Path, patience: float = _PATIENCE) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / _LOCK, timeout=patience)

    def __enter__(self) -> IndexWriter:
        try:
            self._lock.acquire()
        except Timeout:
            raise DataError(f"{self.folder}: another process is writing this index", "wait until it is done") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def write(
        self, vectors: NDArray[np.float32], rows: pd.DataFrame, fingerprint: str, backend: str = "exact",
        ann: bytes | None = None,
    ) -> None:  # fmt: skip
        """Write a new generation and put it in use.

        Args:
            vectors: float32 (R, D), finite.
            rows: R rows, ``COLUMNS``.
            fingerprint: Of the model that made them.
            backend: What searches them.
            ann: The approximate index as FAISS writes it, where the backend has one.

        Raises:
            DataError: No rows.
            ModelError: A vector is NaN or infinite.
            ValueError: Rows and vectors differ in number.
        """
        if len(vectors) != len(rows):
            raise ValueError(f"{len(vectors)} vectors, {len(rows)} rows")
        if not len(rows):
            raise DataError(f"{self.folder}: no image to index", "give a folder that holds images")
        if not np.isfinite(vectors).all():
            raise ModelError("an embedding is NaN or infinite", "train again at a lower learning rate or precision 32")
        last = _current(self.folder)
        generation = self.folder / f"g{1 + int(last.name[1:] if last else 0):06d}"
        shutil.rmtree(generation, ignore_errors=True)  # of a writer that was killed
        generation.mkdir()
        np.save(generation / VECTORS, np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
        rows[list(COLUMNS)].to_csv(generation / ROWS, index=False, lineterminator="\n", encoding="utf-8")
        if ann is not None:
            (generation / ANN).write_bytes(ann)
        files = {path.name: [path.stat().st_size, _crc(path)] for path in sorted(generation.iterdir())}
        meta = {"fingerprint": fingerprint, "backend": backend, "width": vectors.shape[1], "files": files}
        (generation / _META).write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        pointer = self.folder / f"{_POINTER}.part"
        pointer.write_text(generation.name + "\n", encoding="utf-8")
        pointer.replace(self.folder / _POINTER)
        for other in self.folder.glob("g" + "[0-9]" * 6):
            if other != generation:
                shutil.rmtree(other, ignore_errors=True)


def read_index(folder: Path, fingerprint: str | None = None) -> Index:
    """Read an index and check it.

    Args:
        folder: Written by ``IndexWriter``.
        fingerprint: The model that will ask; None: whichever.

    Raises:
        DataError: No index there, or a file of it is missing or damaged.
        ModelError: It was made by another model.
    """
    for attempt in (1, 2):
        generation = _current(folder)
        if generation is None:
            raise DataError(f"{folder}: no index here", "build one: twinfolio index build FOLDER")
        try:
            return _read(generation, fingerprint)
        except FileNotFoundError as error:  # a writer may just have replaced this generation
            if attempt == 2 or _current(folder) == generation:
                raise DataError(f"{error.filename}: missing", "build the index again") from None
    raise AssertionError


def _read(generation: Path, fingerprint: str | None) -> Index:
    meta = _meta(generation)
    if fingerprint is not None and meta["fingerprint"] != fingerprint:
        raise ModelError(
            f"{generation.parent}: this index was made by model {meta['fingerprint'][:12]}, not by {fingerprint[:12]}",
            "build it again with this model, or name the model that made it",
        )
    for name, (size, crc) in meta["files"].items():
        path = generation / name
        if path.stat().st_size != size or _crc(path) != crc:
            raise DataError(f"{path}: damaged", "build the index again")
    vectors = np.load(generation / VECTORS, mmap_mode="r", allow_pickle=False)
    text = {name: str for name in COLUMNS if name != "tile"}
    rows = pd.read_csv(generation / ROWS, dtype=text, keep_default_na=False)
    return Index(vectors, rows, meta["fingerprint"], meta["backend"], generation)


def _meta(generation: Path) -> dict[str, Any]:
    path = generation / _META
    try:
        meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if {"fingerprint", "backend", "width", "files"} <= set(meta):
            return meta
    except ValueError:
        pass
    raise DataError(f"{path}: damaged", "build the index again")


def _current(folder: Path) -> Path | None:
    try:
        return folder / (folder / _POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
