"""An index as people use it: folders go in and out, and what searches it is kept in step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinfolio.errors import DataError
from twinfolio.retrieval.index import Index, IndexWriter, Provenance, read_index
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.rows import Rows
from twinfolio.retrieval.scorers import Floats
from twinfolio.serving.folder import Embedded
from twinfolio.serving.program import Program

if TYPE_CHECKING:
    from twinfolio.retrieval.backends import Backend


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

        require_backend(backend, program.recipe.head(program.config["head"]))


def _write(writer: IndexWriter, vectors: Floats, rows: Rows, provenance: Provenance, program: Program) -> None:
    """A new generation; its approximate search is built anew, of the vectors as the recipe compares them."""
    ann = None
    if provenance.backend != "exact" and len(vectors):
        from twinfolio.retrieval.backends import build_backend

        searched = PreparedGallery(program.recipe, vectors, rows.image_of_row, program.scorer).vectors
        ann = build_backend(provenance.backend, searched, provenance.distance)
    writer.write(vectors, rows, provenance, ann)
