"""Image files to rows, a few at a time: the store's own decoding, for files that no store holds."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.images import UnreadableImageError, image_size
from twinfolio.data.sources.folder import list_images
from twinfolio.data.store_plan import Rendering
from twinfolio.data.store_writer import in_channels, render_image
from twinfolio.retrieval.embed import Forward

_AHEAD = 32
_BATCH = 16


@dataclass(frozen=True)
class Read:
    """One file as it was read.

    Attributes:
        path: The file.
        rows: uint8 (T, H, W, C), a row a tile; empty where it could not be read.
        reason: Why it could not be, or None.
    """

    path: Path
    rows: NDArray[np.uint8]
    reason: str | None = None


@dataclass(frozen=True)
class Embedding:
    """One file as it was embedded.

    Attributes:
        path: The file.
        vectors: float32 (T, D), a row a tile; (0, 0) where there is none.
        reason: Why there is none, or None.
    """

    path: Path
    vectors: NDArray[np.float32]
    reason: str | None = None


def find_images(names: Iterable[str], lines: Iterable[str]) -> tuple[list[Path], list[tuple[str, str]]]:
    """The image files that people mean.

    Args:
        names: Files, folders (all images below) and ``-`` for ``lines``.
        lines: Paths, one a line; empty lines are passed over.

    Returns:
        The files in that order, and ``(path, reason)`` of what in a folder cannot be used.
    """
    paths: list[Path] = []
    left_out: list[tuple[str, str]] = []
    for name in names:
        given = [line for line in (line.rstrip("\r\n") for line in lines) if line] if name == "-" else [name]
        for path in map(Path, given):
            if path.is_dir():
                listing = list_images(path, classes=False)
                paths += [path / below for below in listing.paths]
                left_out += [(str(path / below), reason) for below, reason in listing.left_out]
            else:
                paths.append(path)
    return paths, left_out


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        UnreadableImageError: The file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableImageError(path, error.strerror or "cannot be opened") from None


def read_rows(path: Path, rendering: Rendering) -> NDArray[np.uint8]:
    """The rows (T, H, W, C) that the pipeline would put into its store.

    Args:
        path: An image file.
        rendering: How an image becomes rows.

    Raises:
        UnreadableImageError: It cannot be decoded.
    """
    return np.stack([in_channels(tile, rendering) for tile in render_image(path, *image_size(path), rendering)])


def read_all(paths: Sequence[Path], rendering: Rendering, workers: int = 2) -> Iterator[Read]:
    """Files in their order; threads decode ahead, and no more than a few wait in memory.

    Args:
        paths: Image files.
        rendering: How an image becomes rows.
        workers: Threads (decoders let go of Python's lock).
    """

    def read(path: Path) -> Read:
        try:
            return Read(path, read_rows(path, rendering))
        except UnreadableImageError as error:
            return Read(path, np.empty((0, *rendering.row_shape), np.uint8), error.reason)

    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Read]] = deque()
        for path in paths:
            waiting.append(pool.submit(read, path))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def embed_all(paths: Sequence[Path], rendering: Rendering, embed: Forward, workers: int = 2) -> Iterator[Embedding]:
    """Files in their order, embedded a batch at a time; what cannot be read or embedded comes with its reason.

    Args:
        paths: Image files.
        rendering: How an image becomes rows.
        embed: The model, from rows (N, H, W, C) to (N, D): ``Program.embed`` or ``Program.embed_views``.
        workers: Threads that decode ahead.
    """
    batch: list[Read] = []
    for read in read_all(paths, rendering, workers):
        batch.append(read)
        if sum(len(one.rows) for one in batch) >= _BATCH or len(batch) >= _AHEAD:
            yield from _embedded(batch, embed)
            batch = []
    yield from _embedded(batch, embed)


def _embedded(batch: list[Read], embed: Forward) -> Iterator[Embedding]:
    nothing = np.empty((0, 0), np.float32)
    rows = [one.rows for one in batch if one.reason is None]
    vectors = embed(np.concatenate(rows)) if rows else nothing
    ends = iter(np.split(vectors, np.cumsum([len(part) for part in rows])[:-1]) if rows else ())
    for one in batch:
        own = nothing if one.reason is not None else next(ends)
        if one.reason is not None or np.isfinite(own).all():
            yield Embedding(one.path, own, one.reason)
        else:
            yield Embedding(one.path, nothing, "its embedding is NaN or infinite")
