"""A folder of images as rows of an index: each image embedded once, what cannot be read listed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinfolio.data.groups import groups_from_pattern
from twinfolio.data.images import UnreadableImageError
from twinfolio.data.sources.folder import class_of, list_images
from twinfolio.errors import DataError
from twinfolio.retrieval.cache import EmbeddingCache, embed_new
from twinfolio.retrieval.rows import Rows
from twinfolio.retrieval.scorers import Floats
from twinfolio.serving.program import Program
from twinfolio.serving.reading import content_hash, embed_all

Progress = Callable[[Iterable[int], int], Iterable[int]]


@dataclass(frozen=True)
class Embedded:
    """A folder's images as rows of an index.

    Attributes:
        vectors: float32 (R, D).
        rows: R rows; ``image_id`` is ``source/path``.
        source: Name of the folder in the index.
        folder: The folder itself, absolute.
        left_out: Path, begun with ``source`` -> why it could not be read.
        computed: Images embedded now; the others came from the cache.
    """

    vectors: Floats
    rows: Rows
    source: str
    folder: Path
    left_out: dict[str, str]
    computed: int


def embed_folder(
    folder: Path,
    program: Program,
    cache: EmbeddingCache,
    *,
    source: str | None = None,
    group_pattern: str | None = None,
    progress: Progress | None = None,
) -> Embedded:
    """Embed all images below a folder; a class folder, where there is one, is the label.

    Args:
        folder: Of images, of class folders, or of both.
        program: The model.
        cache: Where embeddings are kept.
        source: Name of the folder in the index; None: its own.
        group_pattern: See ``groups_from_pattern``; None: each image is a group of its own.
        progress: From the images to embed and their number to the same images, with a bar.

    Raises:
        DataError: ``folder`` is no folder, ``source`` cannot be a name, or the pattern matches nothing.
    """
    folder = folder.resolve()
    source = _source_name(folder, source)
    listing = list_images(folder, classes=False)
    contents, left_out = _hashed(folder, listing.paths)
    left_out |= dict(listing.left_out)
    unreadable: dict[str, str] = {}
    embed = _embedding(folder, contents, program, progress, unreadable)
    known, computed = embed_new(list(contents.values()), embed, cache)
    left_out |= {path: unreadable[content] for path, content in contents.items() if content in unreadable}
    kept = [path for path in contents if contents[path] in known]
    vectors = [known[contents[path]] for path in kept]
    rows = _rows(kept, source, contents, list(map(len, vectors)), group_pattern)
    named = {f"{source}/{path}": reason for path, reason in sorted(left_out.items())}
    stacked = np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)
    return Embedded(stacked, rows, source, folder, named, computed)


def _source_name(folder: Path, source: str | None) -> str:
    name = (folder.name or "images") if source is None else source
    if not name or "/" in name:
        raise DataError(f"--name {name!r}: not a name", "give one without /")
    return name


def _hashed(folder: Path, paths: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Content of each path, and why some have none."""
    contents: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for path in paths:
        try:
            contents[path] = content_hash(folder / path)
        except UnreadableImageError as error:
            left_out[path] = error.reason
    return contents, left_out


def _embedding(
    folder: Path, contents: dict[str, str], program: Program, progress: Progress | None, unreadable: dict[str, str]
) -> Callable[[Sequence[int]], Iterator[tuple[int, Floats]]]:
    """From positions in ``contents`` to their embeddings; why one has none goes into ``unreadable``, by content."""
    paths = list(contents)

    def embed(missing: Sequence[int]) -> Iterator[tuple[int, Floats]]:
        shown = missing if progress is None else progress(missing, len(missing))
        files = [folder / paths[position] for position in missing]
        for position, one in zip(shown, embed_all(files, program.rendering, program.embed_views), strict=True):
            if one.reason is None:
                yield position, one.vectors
            else:
                unreadable[contents[paths[position]]] = one.reason

    return embed


def _rows(
    paths: Sequence[str], source: str, contents: dict[str, str], tiles: Sequence[int], pattern: str | None
) -> Rows:
    labels = list(map(class_of, paths))
    groups = _groups(paths, labels, source, pattern)
    return Rows.of(
        [
            (f"{source}/{path}", str(tile), label, group, contents[path], contents[path], f"{source}/{path}")
            for path, label, group, count in zip(paths, labels, groups, tiles, strict=True)
            for tile in range(count)
        ]
    )


def _groups(paths: Sequence[str], labels: Sequence[str], source: str, pattern: str | None) -> list[str]:
    names = [f"{source}/{path}" for path in paths]
    if pattern is None or not paths:
        return names
    try:
        re.compile(pattern)
        classed = [path if label else f"/{path}" for path, label in zip(paths, labels, strict=True)]
        found = groups_from_pattern(classed, names, pattern)
    except re.error as error:
        raise DataError(f"--group-pattern {pattern!r}: {error}", "write a regular expression") from None
    except DataError as error:
        raise DataError(error.message.replace("split.group_pattern =", "--group-pattern"), error.mend) from None
    return [group if group == name else f"{source}/{group}" for group, name in zip(found, names, strict=True)]
