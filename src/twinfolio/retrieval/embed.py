"""Embeddings of a whole store, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import DataError, ModelError

Forward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def embed(
    forward: Forward, images: NDArray[np.uint8], batch_size: int = 64, progress: str | None = None
) -> NDArray[np.float32]:
    """Embeds every row of an image array.

    Args:
        forward: From images (B, H, W, C) uint8 to embeddings (B, D).
        images: Images (N, H, W, C) uint8; a memory map is read a batch at a time.
        batch_size: Rows a call.
        progress: Label of a progress bar; none without it.

    Returns:
        Embeddings (N, D) float32, in row order.

    Raises:
        DataError: There are no images.
        ModelError: An embedding is NaN or infinite.
        ValueError: `forward` returns another number of rows, or `batch_size` is below 1.
    """
    if not len(images):
        raise DataError("no images to embed", "give a split that has images")
    if batch_size < 1:
        raise ValueError(f"batch_size = {batch_size}: must be >= 1")
    starts = range(0, len(images), batch_size)
    out: NDArray[np.float32] | None = None
    for start in _shown(starts, progress):
        batch = np.asarray(forward(np.ascontiguousarray(images[start : start + batch_size])), dtype=np.float32)
        _check(batch, min(batch_size, len(images) - start))
        if out is None:
            out = np.empty((len(images), batch.shape[1]), dtype=np.float32)
        out[start : start + len(batch)] = batch
    assert out is not None  # there is at least one batch
    return out


def _shown(starts: range, progress: str | None) -> Iterable[int]:
    if progress is None:
        return starts
    from tqdm import tqdm

    return tqdm(starts, desc=progress, unit="batch")


def _check(batch: NDArray[np.float32], expected: int) -> None:
    if batch.ndim != 2 or len(batch) != expected:
        raise ValueError(f"forward gave an array of shape {batch.shape} for {expected} images")
    if not np.isfinite(batch).all():
        raise ModelError("an embedding is NaN or infinite", "train again with a lower learning rate or precision 32")
