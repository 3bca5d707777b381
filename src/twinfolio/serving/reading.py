"""Image files to rows, a few at a time: the store's own decoding, for files that no store holds."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.images import UnreadableImageError, image_size
from twinfolio.data.store_plan import Rendering
from twinfolio.data.store_writer import in_channels, render_image

_AHEAD = 32


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
