"""Two ways to train, compared query by query: what a search's best params are worth beside those it started from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.datamodule import StoreRows
from twinfolio.data.store import Store
from twinfolio.errors import DataError
from twinfolio.evaluation.bootstrap import bootstrap_interval
from twinfolio.evaluation.significance import paired_difference, paired_permutation_test
from twinfolio.models.bundle import load_model
from twinfolio.models.classifier import per_image
from twinfolio.training.data import gallery_rows, retrieval_task
from twinfolio.training.fit import predict

SPLITS = ("val", "test")
_GALLERY = 10_000
"""Most train images that queries are ranked against."""


@dataclass(frozen=True)
class Answers:
    """How well a model answers each image of a split.

    Attributes:
        values: (Q,) average precision of a Siamese model's ranking of the train images, without those of the query's
            own group; NaN where there is nothing to find. Of a classifier: 1 where the class is right, else 0.
        groups: (Q,) of the images.
    """

    values: NDArray[np.float64]
    groups: NDArray[np.str_]


def answers(model: Path, store: Path, split: str) -> Answers:
    """Ask a model about a split.

    Args:
        model: Its folder.
        store: The store's.
        split: ``val`` or ``test``.
    """
    loaded = load_model(model)
    queries = StoreRows([Store.open(store / split)])
    groups = queries.image_keys.groups
    if (layer := loaded.class_layer) is not None and loaded.config.get("kind") == "classifier":
        rows = predict(lambda images: layer(loaded.embedder(images)).softmax(1), queries, loaded.device)
        probabilities, labels = per_image(rows, queries.labels, queries.sources)
        return Answers((probabilities.argmax(1) == labels).astype(np.float64), groups)
    gallery = gallery_rows(StoreRows([Store.open(store / "train")]), _GALLERY, seed=0)
    x, y = (predict(loaded.embedder, part, loaded.device) for part in (queries, gallery))
    return Answers(retrieval_task(queries, gallery).average_precisions(loaded.scores(x, y)), groups)


def write_answers(path: Path, model: Path, store: Path) -> None:
    """Ask a model about validation and test, and keep what it answered.

    Args:
        path: The ``.npz`` file.
        model: See ``answers``.
        store: See ``answers``.
    """
    found = {split: answers(model, store, split) for split in SPLITS}
    arrays: dict[str, Any] = {split: of.values for split, of in found.items()}
    arrays |= {f"{split}_groups": of.groups for split, of in found.items()}
    np.savez_compressed(path, **arrays)


def compare_files(own: Sequence[Path], best: Sequence[Path]) -> dict[str, float]:
    """``<split>/verdict/<name>`` of what ``write_answers`` kept; see ``compare``."""
    return {
        f"{split}/verdict/{name}": value
        for split in SPLITS
        for name, value in compare(*([_read(path, split) for path in side] for side in (own, best))).items()
    }


def _read(path: Path, split: str) -> Answers:
    with np.load(path, allow_pickle=False) as file:
        return Answers(file[split], file[f"{split}_groups"])


def compare(own: Sequence[Answers], best: Sequence[Answers]) -> dict[str, float]:
    """Means over seeds and images of either side, and their paired difference.

    Args:
        own: A model a seed, trained by the params as they are.
        best: Likewise, by the search's.

    Returns:
        ``own``, ``best`` and ``difference`` (best - own), each with ``_low`` and ``_high`` over groups, and ``p``.

    Raises:
        DataError: The two sides were asked about different images.
    """
    groups = own[0].groups
    if any(not np.array_equal(one.groups, groups) for one in (*own, *best)):
        raise DataError("search_verdict: the search changed the split", "take keys of split out of search.space")
    sides = {name: np.mean([one.values for one in side], axis=0) for name, side in (("own", own), ("best", best))}
    found: dict[str, float] = {}
    for name, values in sides.items():
        low, high = bootstrap_interval(values, groups)
        found |= {name: float(np.nanmean(values)), f"{name}_low": low, f"{name}_high": high}
    difference, low, high = paired_difference(sides["best"], sides["own"], groups)
    p = paired_permutation_test(sides["best"], sides["own"], groups)
    return found | {"difference": difference, "difference_low": low, "difference_high": high, "p": p}
