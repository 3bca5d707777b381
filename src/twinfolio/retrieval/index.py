"""An index on disk: vectors, who they belong to, and the model they came from.

Layout::

    current                name of the generation in use; replaced in one step
    g000007/index.json     model fingerprint, distance, backend, sources, and size and CRC-32 of the other files
    g000007/vectors.npy    float32 (R, D), a row a tile, under the views of the model's recipe
    g000007/rows.csv       image_id, tile, label, group, cluster, content (SHA-256 of the image file), path
    g000007/left_out.csv   path, reason: images that could not be read
    g000007/ann.faiss      the approximate index, where the backend has one, of the vectors as the recipe compares them
    .lock                  held by whoever writes

A change writes a new generation and then points ``current`` at it: a reader sees the old one or the new one, and a
writer that is killed leaves the old one in use.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.rows import Rows

if TYPE_CHECKING:
    from filelock import FileLock

_POINTER, _META, _LOCK = "current", "index.json", ".lock"
VECTORS, ROWS, LEFT_OUT, ANN = "vectors.npy", "rows.csv", "left_out.csv", "ann.faiss"
_KEYS = {"fingerprint", "distance", "backend", "sources", "files"}
_BLOCK = 1 << 24
_PATIENCE = 30.0
_ATTEMPTS = 10
_OWN = re.compile(r"current(\.part)?|g\d{6}|\..*")


@dataclass(frozen=True)
class Provenance:
    """Where an index comes from.

    Attributes:
        fingerprint: Of the model that made the vectors, and of its recipe.
        distance: What orders them as the recipe compares them: ``l1``, ``l2`` or ``cosine``.
        backend: What searches them: ``exact``, ``hnsw`` or ``ivfpq``.
        sources: Name -> absolute folder; ``Rows.path`` begins with a name.
        left_out: Path, begun with a source's name -> why that image is not in the index.
    """

    fingerprint: str
    distance: str = "cosine"
    backend: str = "exact"
    sources: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """An index as read.

    Attributes:
        vectors: float32 (R, D), memory-mapped.
        rows: R rows.
        provenance: Where it comes from.
        name: What messages call it.
        ann: File of the approximate index; None where the backend is ``exact``.
    """

    vectors: NDArray[np.float32]
    rows: Rows
    provenance: Provenance
    name: str
    ann: Path | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def file(self, path: str, images: Path | None = None) -> Path | None:
        """The image file behind a row's path; None where nothing is known of it.

        Args:
            path: Of ``Rows.path``.
            images: Folder to look in where the source is not there any more.
        """
        source, _, below = path.partition("/")
        folder = self.provenance.sources.get(source)
        places = [Path(place) / below for place in (folder, images) if place is not None] if below else []
        return next((place for place in places if place.is_file()), places[0] if places else None)


class IndexWriter:
    """The one writer of an index; a second one waits, then gives up with a line.

    Args:
        folder: The index's folder; made where it is missing.
        patience: Seconds it waits for another writer.
    """

    def __init__(self, folder: Path, patience: float = _PATIENCE) -> None:
        from filelock import FileLock

        self.folder = folder
        _make_folder(folder)
        self._lock: FileLock = FileLock(folder / _LOCK, timeout=patience)

    def __enter__(self) -> IndexWriter:
        from filelock import Timeout

        try:
            self._lock.acquire()
        except Timeout:
            raise DataError(f"{self.folder}: another process is writing this index", "wait until it is done") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def write(self, vectors: NDArray[np.float32], rows: Rows, provenance: Provenance, ann: bytes | None = None) -> None:
        """Write a new generation and put it in use.

        Args:
            vectors: float32 (R, D), finite.
            rows: R rows.
            provenance: Where they come from.
            ann: The approximate index as FAISS writes it, where the backend has one.

        Raises:
            DataError: No rows.
            ModelError: A vector is NaN or infinite.
            ValueError: Rows and vectors differ in number.
        """
        if len(vectors) != len(rows):
            raise ValueError(f"{len(vectors)} vectors, {len(rows)} rows")
        if not len(rows):
            raise DataError(f"{self.folder}: no image to index", "give a folder that holds readable images")
        check_finite(vectors, str(self.folder))
        last = _current(self.folder)
        generation = self.folder / f"g{1 + int(last.name[1:] if last else 0):06d}"
        shutil.rmtree(generation, ignore_errors=True)  # of a writer that was killed
        generation.mkdir()
        _fill(generation, vectors, rows, provenance, ann)
        pointer = self.folder / f"{_POINTER}.part"
        pointer.write_text(generation.name + "\n", encoding="utf-8")
        _sync(pointer)
        pointer.replace(self.folder / _POINTER)
        _sync(self.folder)
        for other in self.folder.glob("g" + "[0-9]" * 6):
            if other != generation:
                shutil.rmtree(other, ignore_errors=True)


def check_finite(vectors: NDArray[np.float32], name: str) -> None:
    """Refuse vectors (R, D) of which one is NaN or infinite (ModelError naming the row), a block at a time."""
    block = max(1, _BLOCK // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), block):
        bad = ~np.isfinite(vectors[start : start + block]).all(1)
        if bad.any():
            row = start + int(bad.argmax())
            raise ModelError(
                f"{name}: embedding {row} is NaN or infinite", "train again at a lower learning rate or precision 32"
            )


def read_index(folder: Path, fingerprint: str | None = None) -> Index:
    """Read an index and check it.

    Args:
        folder: Written by ``IndexWriter``.
        fingerprint: The model that will ask; None: whichever.

    Raises:
        DataError: No index there, or a file of it is missing or damaged.
        ModelError: It was made by another model.
    """
    for attempt in range(_ATTEMPTS):
        generation = _current(folder)
        if generation is None:
            raise DataError(f"{folder}: no index here", "build one: twinfolio index build FOLDER")
        try:
            return _read(generation, fingerprint)
        except FileNotFoundError as error:  # a writer may just have replaced this generation
            if attempt == _ATTEMPTS - 1 or _current(folder) == generation:
                raise DataError(f"{error.filename}: missing", "build the index again") from None
    raise AssertionError


def export_index(index: Index, target: Path) -> None:
    """Write vectors, rows and what was left out as ``.npy`` and ``.csv``, each under a temporary name first."""
    target.mkdir(parents=True, exist_ok=True)
    _write_tables(target, index.vectors, index.rows, index.provenance, suffix=".part")
    for name in (VECTORS, ROWS, LEFT_OUT):
        (target / f"{name}.part").replace(target / name)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{folder}: not a folder", "name another place for the index") from None
    if any(not _OWN.fullmatch(path.name) for path in folder.iterdir()):
        raise DataError(f"{folder}: holds other files", "give the index a folder of its own")


def _fill(
    generation: Path, vectors: NDArray[np.float32], rows: Rows, provenance: Provenance, ann: bytes | None
) -> None:
    _write_tables(generation, vectors, rows, provenance)
    if ann is not None:
        (generation / ANN).write_bytes(ann)
    files = {path.name: [path.stat().st_size, _crc(path)] for path in sorted(generation.iterdir())}
    meta = {
        "fingerprint": provenance.fingerprint, "distance": provenance.distance, "backend": provenance.backend,
        "sources": dict(provenance.sources), "files": files,
    }  # fmt: skip
    text = json.dumps(meta, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (generation / _META).write_text(text, encoding="utf-8")
    for path in (*generation.iterdir(), generation):
        _sync(path)


def _write_tables(
    folder: Path, vectors: NDArray[np.float32], rows: Rows, provenance: Provenance, suffix: str = ""
) -> None:
    with (folder / f"{VECTORS}{suffix}").open("wb") as file:
        np.save(file, np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
    rows.write(folder / f"{ROWS}{suffix}")
    with (folder / f"{LEFT_OUT}{suffix}").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table, lineterminator="\n").writerows([("path", "reason"), *sorted(provenance.left_out.items())])


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
    with (generation / LEFT_OUT).open(newline="", encoding="utf-8") as file:
        left_out = dict(list(csv.reader(file))[1:])
    provenance = Provenance(meta["fingerprint"], meta["distance"], meta["backend"], meta["sources"], left_out)
    ann = generation / ANN if ANN in meta["files"] else None
    return Index(vectors, Rows.read(generation / ROWS), provenance, str(generation.parent), ann)


def _meta(generation: Path) -> dict[str, Any]:
    path = generation / _META
    try:
        meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if set(meta) >= _KEYS:
            return meta
    except ValueError:
        pass
    raise DataError(f"{path}: damaged", "build the index again")


def _current(folder: Path) -> Path | None:
    try:
        return folder / (folder / _POINTER).read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _sync(path: Path) -> None:
    """On the disk before anything points at it: a power cut must not leave the name without the bytes."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
