"""An index as people use it: folders go in and out, images are embedded once, what cannot be read is listed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinfolio.data.groups import groups_from_pattern
from twinfolio.data.images import UnreadableImageError
from twinfolio.data.sources.folder import list_images
from twinfolio.errors import DataError
from twinfolio.retrieval.cache import EmbeddingCache, embed_new
from twinfolio.retrieval.index import Index, IndexWriter, Provenance, read_index
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.rows import Rows
from twinfolio.retrieval.scorers import Floats
from twinfolio.serving.program import Program
from twinfolio.serving.reading import content_hash, embed_all

if TYPE_CHECKING:
    from twinfolio.retrieval.backends import Backend

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


def build(target: Path, embedded: Embedded, program: Program, backend: str = "exact") -> None:
    """Write a new index, in place of one that is there.

    Args:
        target: The index's folder.
        embedded: Its images.
        program: The model that embedded them.
        backend: What will search it.

    Raises:
        ModelError: No approximate search follows this model's head.
    """
    _require(backend, program)
    sources = {embedded.source: str(embedded.folder)}
    provenance = Provenance(program.fingerprint, program.distance, backend, sources, embedded.left_out)
    with IndexWriter(target) as writer:
        _write(writer, embedded.vectors, embedded.rows, provenance, program)


def build_from_gallery(target: Path, gallery: Index, program: Program, backend: str = "exact") -> None:
    """Write the model folder's gallery as an index (arguments and errors as ``build``)."""
    _require(backend, program)
    with IndexWriter(target) as writer:
        _write(writer, gallery.vectors, gallery.rows, replace(gallery.provenance, backend=backend), program)


def add(target: Path, embedded: Embedded, program: Program) -> tuple[int, int]:
    """Add images to an index; an image of the same name is replaced.

    Returns:
        Images that are new, and images that were replaced.

    Raises:
        DataError: The source's name stands for another folder.
    """
    with IndexWriter(target) as writer:
        old = read_index(target, program.fingerprint)
        origin = old.provenance
        other = origin.sources.get(embedded.source, str(embedded.folder))
        if other != str(embedded.folder):
            raise DataError(
                f"{target}: {embedded.source} already stands for {other}", "give this folder another name with --name"
            )
        fresh = set(embedded.rows.image_id)
        if not fresh:
            raise DataError(f"{embedded.folder}: no image to index", "give a folder that holds readable images")
        stay = np.array([name not in fresh for name in old.rows.image_id])
        replaced = old.rows[~stay].n_images
        left_out = {path: reason for path, reason in origin.left_out.items() if path not in fresh} | embedded.left_out
        sources = {**origin.sources, embedded.source: other}
        vectors = np.concatenate([old.vectors[stay], embedded.vectors])
        provenance = replace(origin, sources=sources, left_out=left_out)
        _write(writer, vectors, old.rows[stay] + embedded.rows, provenance, program)
    return len(fresh) - replaced, replaced


def remove(target: Path, patterns: Sequence[str], program: Program) -> int:
    """Remove the images whose id one of the patterns matches (``*`` and ``?`` as in a shell).

    The model is needed because images blended with one that goes are no longer the same to an approximate search.

    Returns:
        How many images went.

    Raises:
        DataError: No image matches, or none would be left.
    """
    from fnmatch import fnmatchcase

    with IndexWriter(target) as writer:
        old = read_index(target, program.fingerprint)
        goes = np.array([any(fnmatchcase(name, pattern) for pattern in patterns) for name in old.rows.image_id])
        if not goes.any():
            raise DataError(f"{target}: no image is called {', '.join(patterns)}", "see twinfolio index export")
        if goes.all():
            raise DataError(f"{target}: no image would be left", "delete the folder instead")
        _write(writer, old.vectors[~goes], old.rows[~goes], old.provenance, program)
    return old.rows[goes].n_images


def summary(index: Index) -> dict[str, str | int]:
    """What ``twinfolio index info`` says."""
    origin = index.provenance
    return {
        "images": index.rows.n_images,
        "rows": len(index),
        "classes": len({label for label in index.rows.label if label}),
        "left out": len(origin.left_out),
        "width": int(index.vectors.shape[1]),
        "bytes": int(index.vectors.nbytes),
        "backend": origin.backend,
        "model": origin.fingerprint[:12],
        "sources": ", ".join(f"{name} = {folder}" for name, folder in sorted(origin.sources.items())),
    }


def prepare(index: Index, program: Program) -> PreparedGallery:
    """The images of an index as the model's recipe compares them, in the order of their ids.

    Database augmentation is done here, for every gallery image once: the time grows with the square of their number.

    Raises:
        DataError: The index is empty.
        ModelError: The recipe is damaged, or does not fit the embeddings.
    """
    if not len(index):
        raise DataError(f"{index.name}: the index is empty", "add images: twinfolio index add FOLDER")
    gallery = PreparedGallery(program.recipe, index.vectors, index.rows.image_of_row, program.scorer)
    backend = _open_backend(index)
    if backend is not None:
        gallery.near = backend.near
    return gallery


def recall(index: Index, program: Program, k: int = 10) -> float | None:
    """Recall at k of the approximate search against the exact one, on a sample; None where there is none."""
    backend = _open_backend(index)
    if backend is None:
        return None
    from twinfolio.retrieval.backends import measured_recall

    gallery = prepare(index, program)
    return measured_recall(gallery.scorer, backend, gallery.vectors, k)


def _open_backend(index: Index) -> Backend | None:
    """The approximate search of an index; None where it is searched exactly."""
    if index.ann is None:
        return None
    from twinfolio.retrieval.backends import open_backend

    return open_backend(index.ann, index.provenance.distance)


def _require(backend: str, program: Program) -> None:
    if backend != "exact":
        from twinfolio.retrieval.backends import require_backend

        # after a whitening no head is asked
        require_backend(backend, program.config["head"] if program.recipe.whitening is None else "distance")


def _write(writer: IndexWriter, vectors: Floats, rows: Rows, provenance: Provenance, program: Program) -> None:
    """A new generation; its approximate search is built anew, of the vectors as the recipe compares them."""
    ann = None
    if provenance.backend != "exact" and len(vectors):
        from twinfolio.retrieval.backends import build_backend

        searched = PreparedGallery(program.recipe, vectors, rows.image_of_row, program.scorer).vectors
        ann = build_backend(provenance.backend, searched, provenance.distance)
    writer.write(vectors, rows, provenance, ann)


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
    labels = [path.partition("/")[0] if "/" in path else "" for path in paths]
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
