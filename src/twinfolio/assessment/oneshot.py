"""A model's answers to one-shot trials on images it has not seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twinfolio.assessment.cost import model_cost
from twinfolio.data.batch_augmentation import to_float
from twinfolio.data.batch_warp import Warp, warp_batch
from twinfolio.data.datamodule import mix_seed
from twinfolio.data.omniglot_store import shrink
from twinfolio.data.store import Store
from twinfolio.errors import DataError
from twinfolio.evaluation.arrays import Floats
from twinfolio.evaluation.oneshot import trial_credit
from twinfolio.evaluation.trials import Trials, read_trials
from twinfolio.models.bundle import Model, load_model
from twinfolio.models.distances import unit_vectors
from twinfolio.models.tasks import head_scores

_PIXELS = 4_000_000
"""Most pixels embedded at once."""


@dataclass(frozen=True)
class Views:
    """How many times an image is looked at: once as it is, and again under small warps; the embeddings are averaged.

    Attributes:
        count: Looks.
        warp: Of all but the first.
    """

    count: int = 1
    warp: Warp = field(default_factory=Warp)


def embed_images(model: Model, images: NDArray[np.uint8], views: Views | None = None) -> Tensor:
    """Embeddings (N, D), on the model's device, of images (N, H, W, C), a few at a time.

    Args:
        model: With an embedder; where it normalises, so is the mean over views.
        images: As the store keeps them.
        views: None: one look.
    """
    views = views or Views()
    batch = max(1, _PIXELS // int(np.prod(images.shape[1:])))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            x = to_float(torch.from_numpy(np.array(images[start : start + batch])).permute(0, 3, 1, 2).to(model.device))
            total = model.embedder(x)
            for view in range(1, views.count):
                generator = torch.Generator().manual_seed(mix_seed(view, start))
                total = total + model.embedder(warp_batch(x, views.warp, generator))
            parts.append(unit_vectors(total) if model.embedder.normalise else total / views.count)
    return torch.cat(parts)


def scores_of(
    model: Model, images: NDArray[np.uint8], trials: Mapping[str, Trials], views: Views | None = None
) -> dict[str, Floats]:
    """Scores (T, N) of each set of trials over the same images (M, H, W, C).

    Args:
        model: A Siamese model.
        images: As the store keeps them.
        trials: Sets of trials over the images.
        views: See ``embed_images``.

    Raises:
        DataError: The model has no head: it is a classifier.
    """
    if model.head is None:
        raise DataError("a classifier has no head to compare two images with", "name a Siamese model")
    embeddings = embed_images(model, images, views)
    return {name: np.asarray(head_scores(model.head, embeddings, of)) for name, of in trials.items()}


def write_answers(
    target: Path, folder: Path, store: Path, trials: Path, runs: Path, size: tuple[int, int] | None, views: Views | None
) -> None:
    """Write a model's credit on every trial of the evaluation side, the trials' families, and what the model costs.

    The scores of the official runs are kept too, to be looked at.

    Args:
        target: The ``.npz`` file; it is whole or not there.
        folder: The model's.
        store: Folder of the store whose test part the trials are about.
        trials: Folder of the frozen trials.
        runs: The official runs as arrays.
        size: Height and width the model resizes to; None: the store's.
        views: See ``embed_images``.
    """
    model, images = load_model(folder), Store.open(store / "test").images
    sets = evaluation_trials(store, trials)
    scores = scores_of(model, images, sets, views)
    drawings, sets["runs"] = read_runs(runs)
    scores |= scores_of(model, shrink(drawings, images.shape[1])[..., None], {"runs": sets["runs"]}, views)
    arrays: dict[str, Any] = {name: trial_credit(scores[name], of.answers) for name, of in sets.items()}
    arrays |= {f"{name}_families": of.families for name, of in sets.items()} | {"runs_scores": scores["runs"]}
    cost = model_cost(model, (images.shape[3], *(size or (images.shape[1], images.shape[2]))))
    part = target.with_suffix(".part.npz")
    np.savez_compressed(part, cost=np.array(json.dumps(cost)), **arrays)
    part.replace(target)


def read_runs(path: Path) -> tuple[NDArray[np.uint8], Trials]:
    """The official runs' images (M, H, W) and their trials, as the first stage keeps them.

    Args:
        path: Its ``.npz`` file.
    """
    with np.load(path, allow_pickle=False) as file:
        return file["images"], Trials(*(file[name] for name in ("families", "queries", "answers", "support")))


def evaluation_trials(store: Path, folder: Path) -> dict[str, Trials]:
    """The frozen trials of a folder, over the rows of a store's test part.

    Args:
        store: Folder of the store.
        folder: Its CSV files.
    """
    names = [str(name) for name in Store.open(store / "test").index["image_id"]]
    return {path.stem: read_trials(path, names) for path in sorted(folder.glob("*.csv"))}
