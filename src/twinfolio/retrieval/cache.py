"""Embeddings kept by what they were made of: the image's content, the weights and the transform."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import DataError

Floats = NDArray[np.float32]
_AT_ONCE = 500
_PATIENCE = 60.0


class EmbeddingCache:
    """A table in one SQLite file, which many processes may read and write at once.

    Args:
        path: The file; made where it is missing.
        program: Fingerprint of weights and transform: another program's embeddings are never given back.

    Raises:
        DataError: The file is no SQLite database or cannot be written.
    """

    def __init__(self, path: Path, program: str) -> None:
        self.path, self.program = path, program
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS embeddings (program TEXT, content TEXT, vectors BLOB, rows INTEGER, "
                "PRIMARY KEY (program, content)) WITHOUT ROWID"
            )

    def get(self, contents: Iterable[str]) -> dict[str, Floats]:
        """Embeddings (T, D) of the images that are known, by content; T tiles of one image.

        Args:
            contents: SHA-256 of each image's bytes.
        """
        wanted, found = sorted(set(contents)), {}
        with self._connection() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                query = f"SELECT content, vectors, rows FROM embeddings WHERE program = ? AND content IN ({marks})"
                for content, blob, rows in connection.execute(query, [self.program, *part]):
                    if rows > 0 and len(blob) % (4 * rows) == 0:  # else it is damaged, and is made anew
                        found[content] = np.frombuffer(blob, np.float32).reshape(rows, -1).copy()
        return found

    def put(self, vectors: Mapping[str, Floats]) -> None:
        """Keep embeddings (T, D) by content."""
        rows = [
            (self.program, content, np.ascontiguousarray(value, np.float32).tobytes(), len(value))
            for content, value in vectors.items()
        ]
        with self._connection() as connection:
            connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?)", rows)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: {error}", "delete this file: it is a cache and is made anew") from None


def embed_new(
    contents: Sequence[str], embed: Callable[[Sequence[int]], Iterable[tuple[int, Floats]]], cache: EmbeddingCache
) -> tuple[dict[str, Floats], int]:
    """Embeddings of images, of which only those that the cache lacks are computed.

    Args:
        contents: SHA-256 of each image's bytes (N,); equal images are embedded once.
        embed: From positions in ``contents`` to (position, vectors (T, D)) one after the other; it may leave some out.
        cache: Written as the results come, so that a killed run goes on where it was.

    Returns:
        Content -> vectors, without those that ``embed`` left out; and how many were computed.
    """
    known = cache.get(contents)
    first = {content: position for position, content in reversed(list(enumerate(contents)))}
    missing = sorted(position for content, position in first.items() if content not in known)
    fresh: dict[str, Floats] = {}
    computed = 0
    for position, vectors in embed(missing):
        fresh[contents[position]] = vectors
        computed += 1
        if len(fresh) >= _AT_ONCE:
            cache.put(fresh)
            known |= fresh
            fresh = {}
    cache.put(fresh)
    return known | fresh, computed
