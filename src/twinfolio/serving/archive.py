"""An index as people use it: folders go in and out, images are embedded once, what cannot be read is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.data.groups import groups_from_pattern
from twinfolio.data.images import UnreadableImageError
from twinfolio.data.sources.folder import list_images
from twinfolio.errors import DataError
from twinfolio.retrieval.cache import EmbeddingCache, embed_new
from twinfolio.retrieval.index import COLUMNS, Index, IndexWriter, read_index
from twinfolio.retrieval.scorers import Floats
from twinfolio.serving.program import Program
from twinfolio.serving.reading import content_hash, read_all


@dataclass(frozen=True)
class Embedded:
    """A folder's images as rows of an index.

    Attributes:
        vectors: float32 (R, D).
        rows: R rows, ``index.COLUMNS``; ``image_id`` is the path.
        left_out: ``(path, reason)`` of what could not be read.
        computed: Images embedded now; the others came from the cache.
    """

    vectors: Floats
    rows: pd.DataFrame
    left_out: list[tuple[str, str]]
    computed: int


def embed_folder(
    folder: Path,
    program: Program,
    cache: EmbeddingCache,
    *,
    group_pattern: str | None = None,
    progress: Callable[[Iterable[int], int], Iterable[int]] | None = None,
) -> Embedded:
    """Embed all images below a folder; a class folder, where there is one, is the label.

    Args:
        folder: Of images, or of class folders.
        program: The model.
        cache: Where embeddings are kept.
        group_pattern: See ``groups_from_pattern``; None: each image is a group of its own.
        progress: From the images to embed and their number to the same images, with a bar.
    """
    listing = list_images(folder, classes=False)
    left_out = list(listing.left_out)
    contents: dict[str, str] = {}
    for path in listing.paths:
        try:
            contents[path] = content_hash(folder / path)
        except UnreadableImageError as error:
            left_out.append((path, error.reason))
    paths = list(contents)

    def embed(missing: Sequence[int]) -> Iterator[tuple[int, Floats]]:
        shown = missing if progress is None else progress(missing, len(missing))
        reads = read_all([folder / paths[position] for position in missing], program.rendering)
        for position, read in zip(shown, reads, strict=True):
            if read.reason is None:
                yield position, program.embed(read.rows)
            else:
                left_out.append((paths[position], read.reason))

    known, computed = embed_new(list(contents.values()), embed, cache)
    kept = [path for path in paths if contents[path] in known]
    names = [f"{folder.name}/{path}" for path in kept]
    grouped = names if group_pattern is None else groups_from_pattern(names, names, group_pattern)
    groups = dict(zip(kept, grouped, strict=True))
    records = [
        (f"{folder.name}/{path}", tile, path.partition("/")[0] if "/" in path else "", groups[path], contents[path],
         contents[path])
        for path in kept
        for tile in range(len(known[contents[path]]))
    ]  # fmt: skip
    vectors = [known[contents[path]] for path in kept]
    width = np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)
    return Embedded(width, pd.DataFrame(records, columns=list(COLUMNS)), sorted(left_out), computed)


def build(target: Path, embedded: Embedded, program: Program) -> None:
    """Write a new index, in place of one that is there."""
    with IndexWriter(target) as writer:
        writer.write(embedded.vectors, embedded.rows, program.fingerprint)


def add(target: Path, embedded: Embedded, program: Program) -> tuple[int, int]:
    """Add images to an index; an image of the same name is replaced.

    Returns:
        Images that are new, and images that were replaced.
    """
    with IndexWriter(target) as writer:
        old = read_index(target, program.fingerprint)
        fresh = set(embedded.rows["image_id"])
        stay = ~old.rows["image_id"].isin(fresh).to_numpy()
        replaced = int(old.rows["image_id"][~stay].nunique())
        rows = pd.concat([old.rows[stay], embedded.rows], ignore_index=True)
        writer.write(np.concatenate([old.vectors[stay], embedded.vectors]), rows, program.fingerprint)
    return len(fresh) - replaced, replaced


def remove(target: Path, patterns: Sequence[str]) -> int:
    """Remove the images whose id one of the patterns matches (``*`` and ``?`` as in a shell).

    Returns:
        How many images went.

    Raises:
        DataError: No image matches, or none would be left.
    """
    from fnmatch import fnmatchcase

    with IndexWriter(target) as writer:
        old = read_index(target)
        goes = np.array([any(fnmatchcase(name, pattern) for pattern in patterns) for name in old.rows["image_id"]])
        if not goes.any():
            raise DataError(f"{target}: no image is called {', '.join(patterns)}", "see twinfolio index export")
        if goes.all():
            raise DataError(f"{target}: no image would be left", "delete the folder instead")
        writer.write(old.vectors[~goes], old.rows[~goes], old.fingerprint)
    return int(old.rows["image_id"][goes].nunique())


def summary(index: Index) -> dict[str, str | int]:
    """What ``twinfolio index info`` says."""
    return {
        "images": index.n_images,
        "rows": len(index),
        "classes": int(index.rows["label"].nunique()),
        "width": int(index.vectors.shape[1]),
        "backend": index.backend,
        "model": index.fingerprint[:12],
        "bytes": int(index.vectors.nbytes),
    }
