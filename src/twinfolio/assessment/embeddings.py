"""Embeddings of the original images, made once and kept beside the ids they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from twinfolio.assessment.images import ImageSet, originals
from twinfolio.assessment.systems import System
from twinfolio.data.store import Store
from twinfolio.errors import DataError
from twinfolio.retrieval.embed import embed

BATCH = 64
"""Images a forward pass."""
GALLERY = ("train", "val")
"""The splits a test query is ranked against."""


@dataclass(frozen=True)
class Chosen:
    """Some rows of a memory-mapped array, read one or a batch at a time."""

    images: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: int | slice) -> np.ndarray:
        return np.asarray(self.images[self.rows[part]])


def embed_originals(system: System, images: np.ndarray, of: ImageSet, split: str) -> np.ndarray:
    """Embed the original images of a split.

    Args:
        system: What embeds them.
        images: uint8 (N, H, W, C), the split's store.
        of: Its original images.
        split: Named by the progress bar.

    Returns:
        float32 (R, D), a row for each of ``of.rows``.
    """
    chosen = cast("Any", Chosen(images, of.rows))
    return np.asarray(embed(system.embed, chosen, BATCH, progress=f"{system.name} {split}"))


def embed_gallery(system: System, store_root: Path, path: Path) -> dict[str, np.ndarray]:
    """Embed the original images of train and validation, and save them for ``evaluate``.

    Args:
        system: What embeds them.
        store_root: Only its ``train`` and ``val`` are opened.
        path: The npz file.

    Returns:
        Split -> float32 (R, D).
    """
    stores = {split: Store.open(store_root / split) for split in GALLERY}
    parts = {split: originals(store) for split, store in stores.items()}
    vectors = {split: embed_originals(system, stores[split].images, parts[split], split) for split in GALLERY}
    save_embeddings(path, {split: (parts[split], vectors[split]) for split in GALLERY})
    return vectors


def save_embeddings(path: Path, splits: dict[str, tuple[ImageSet, np.ndarray]]) -> None:
    """Write ``<split>`` (R, D) float32 and ``<split>_ids`` (R,) for each split, without objects.

    Args:
        path: The npz file.
        splits: Split -> (its images, their embeddings).
    """
    arrays: dict[str, Any] = {}
    for split, (of, vectors) in splits.items():
        arrays[split], arrays[f"{split}_ids"] = vectors.astype(np.float32), _row_ids(of)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.replace(path)


def load_embeddings(path: Path, split: str, of: ImageSet) -> np.ndarray:
    """Read one split's embeddings and check that they are of these images.

    Args:
        path: A file of ``save_embeddings``.
        split: ``train`` or ``val``.
        of: The images they must belong to.

    Raises:
        DataError: No such file, or it was made from other images.
    """
    mend = "run the stage compare_distances again"
    if not path.is_file():
        raise DataError(f"{path}: no such file", mend)
    with np.load(path, allow_pickle=False) as file:
        if not np.array_equal(file[f"{split}_ids"], _row_ids(of)):
            raise DataError(f"{path}: embeddings of other images than the store's {split} split", mend)
        return np.asarray(file[split])


def _row_ids(of: ImageSet) -> np.ndarray:
    """``image_id#tile`` of each row."""
    return np.array([f"{of.items.ids[i]}#{tile}" for i, tile in zip(of.row_image, of.row_tile, strict=True)])
