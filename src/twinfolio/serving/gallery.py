"""The model folder's own images as an index: what is searched where no other index is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.index import Index, Provenance, check_finite
from twinfolio.retrieval.rows import Rows
from twinfolio.serving.program import Program

SOURCE = "data"
_WHOLE = "run the stage evaluate again"


def read_gallery(program: Program, images: Path | None = None) -> Index:
    """The gallery of a model folder: ``embeddings.npy``, under the recipe's views, and ``gallery.csv``.

    Args:
        program: The model folder.
        images: The folder that paths are relative to; None: ``data/`` of the workspace that the model lies in.

    Raises:
        ModelError: A file is missing or damaged, or an embedding is NaN.
        DataError: The gallery is empty.
    """
    folder = program.folder
    try:
        vectors = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        rows = Rows.read(folder / "gallery.csv")
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"{folder}: its gallery cannot be read ({error})", _WHOLE) from None
    if vectors.ndim != 2 or len(rows) != len(vectors):
        raise ModelError(f"{folder}: {len(rows)} gallery rows, embeddings {vectors.shape}", _WHOLE)
    if not len(rows):
        raise DataError(
            f"{folder}: the gallery is empty", "build an index of your images: twinfolio index build FOLDER"
        )
    check_finite(vectors, str(folder / "embeddings.npy"))
    below = np.array([f"{SOURCE}/{path}" if path else "" for path in rows.path], dtype=object)
    sources = {SOURCE: str((images or _data_folder(folder)).resolve())}
    provenance = Provenance(program.fingerprint, program.distance, "exact", sources)
    return Index(vectors, replace(rows, path=below), provenance, f"{folder} (its own gallery)")


def _data_folder(folder: Path) -> Path:
    """``outputs/evaluate/model`` lies three floors above ``data``."""
    return folder.resolve().parent.parent.parent / SOURCE
