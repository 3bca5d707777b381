"""A model's answers to one-shot trials on images it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from twinfolio.data.store import Store
from twinfolio.errors import DataError
from twinfolio.evaluation.arrays import Floats
from twinfolio.evaluation.oneshot import Trials, read_trials, trial_credit
from twinfolio.models.bundle import Model
from twinfolio.models.tasks import head_scores

_PIXELS = 4_000_000
"""Most pixels embedded at once."""


def embed_images(model: Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embeddings (N, D) of images (N, H, W, C), a few at a time."""
    batch = max(1, _PIXELS // int(np.prod(images.shape[1:])))
    parts = [model.embed_uint8(np.asarray(images[start : start + batch])) for start in range(0, len(images), batch)]
    return np.concatenate(parts)


def credit_of(model: Model, images: NDArray[np.uint8], trials: Mapping[str, Trials]) -> dict[str, Floats]:
    """Credit (T,) of each set of trials over the same images (N, H, W, C).

    Raises:
        DataError: The model has no head: it is a classifier.
    """
    if model.head is None:
        raise DataError("a classifier has no head to compare two images with", "name a Siamese model")
    embeddings = torch.from_numpy(embed_images(model, images)).to(model.device)
    return {name: trial_credit(head_scores(model.head, embeddings, of), of.answers) for name, of in trials.items()}


def evaluation_trials(store: Path, folder: Path) -> dict[str, Trials]:
    """The frozen trials of a folder, over the rows of a store's test part.

    Args:
        store: Folder of the store.
        folder: Its CSV files.
    """
    names = [str(name) for name in Store.open(store / "test").index["image_id"]]
    return {path.stem: read_trials(path, names) for path in sorted(folder.glob("*.csv"))}
