"""A net of small digits on validation and test: ten classes by its class layer, or by its embedding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.datamodule import StoreRows, balanced_subset
from twinfolio.data.store import Store
from twinfolio.evaluation.verification import accept, choose_threshold
from twinfolio.models.bundle import Model, load_model
from twinfolio.training.fit import predict

_ARCHIVE = 10_000
"""Most train images, balanced over the digits, that an embedded image is named by."""
_PAIRS = 20_000
"""Pairs of two digits, half of them equal, that a threshold is chosen and judged on."""


@dataclass(frozen=True)
class Measured:
    """What a net does.

    Attributes:
        metrics: ``<split>/digits/<measure>`` for ``val`` and ``test``: ``accuracy`` of a class layer, or
            ``nearest_accuracy`` (1-NN among train), ``centroid_accuracy`` (nearest class mean of train) and
            ``pair_accuracy`` (at a threshold chosen on validation) of an embedding.
        correct: (N,) bool, whether each test image is named rightly by the first of these measures.
        embeddings: (N, D) of the test images where D is 2; else None.
    """

    metrics: dict[str, float]
    correct: NDArray[np.bool_]
    embeddings: NDArray[np.float32] | None


def measure_digits(folder: Path, store_root: Path, seed: int = 0) -> Measured:
    """Measure a classifier or a Siamese model; nothing is chosen on test.

    Args:
        folder: Model folder.
        store_root: The store.
        seed: Of the pairs.
    """
    model = load_model(folder)
    rows = {split: StoreRows([Store.open(store_root / split)]) for split in ("train", "val", "test")}
    if (layer := model.class_layer) is not None and model.config.get("kind") == "classifier":
        named = {
            s: predict(lambda x: layer(model.embedder(x)), rows[s], model.device).argmax(1) for s in ("val", "test")
        }
        right = {split: values == rows[split].labels for split, values in named.items()}
        return Measured({f"{s}/digits/accuracy": float(r.mean()) for s, r in right.items()}, right["test"], None)
    archive = balanced_subset(rows["train"].labels, _ARCHIVE, np.random.default_rng(seed))
    rows["train"] = StoreRows(rows["train"].stores, archive)
    vectors = {split: predict(model.embedder, of, model.device) for split, of in rows.items()}
    metrics, correct = _embedded(model, vectors, {split: of.labels for split, of in rows.items()}, seed)
    flat = vectors["test"] if vectors["test"].shape[1] == 2 else None
    return Measured(metrics, correct, flat)


def _embedded(
    model: Model, vectors: dict[str, NDArray[np.float32]], labels: dict[str, NDArray[np.int64]], seed: int
) -> tuple[dict[str, float], NDArray[np.bool_]]:
    from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

    nearest = KNeighborsClassifier(1).fit(vectors["train"], labels["train"])
    centroid = NearestCentroid().fit(vectors["train"], labels["train"])
    pairs = {split: _pairs(labels[split], seed) for split in ("val", "test")}
    scores = {s: model.paired_scores(vectors[s][a], vectors[s][b]) for s, (a, b) in pairs.items()}
    same = {s: labels[s][a] == labels[s][b] for s, (a, b) in pairs.items()}
    threshold = choose_threshold(scores["val"], same["val"], "accuracy")
    metrics: dict[str, float] = {}
    for split in ("val", "test"):
        right = nearest.predict(vectors[split]) == labels[split]
        metrics[f"{split}/digits/nearest_accuracy"] = float(right.mean())
        metrics[f"{split}/digits/centroid_accuracy"] = float(centroid.score(vectors[split], labels[split]))
        metrics[f"{split}/digits/pair_accuracy"] = float((accept(scores[split], threshold) == same[split]).mean())
    return metrics, np.asarray(right)


def _pairs(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two different images each: as many pairs of one digit as of two."""
    draws = np.random.default_rng(seed)
    first = draws.integers(len(labels), size=_PAIRS)
    second = np.empty_like(first)
    equal = np.arange(_PAIRS) % 2 == 0
    for digit in np.unique(labels):
        same, other = np.flatnonzero(labels == digit), np.flatnonzero(labels != digit)
        like, unlike = (labels[first] == digit) & equal, (labels[first] == digit) & ~equal
        steps = draws.integers(1, max(2, len(same)), size=like.sum())  # never back to the image itself
        second[like] = same[(np.searchsorted(same, first[like]) + steps) % len(same)]
        second[unlike] = draws.choice(other, unlike.sum())
    kept = first != second  # a digit with a single image has no pair
    return first[kept], second[kept]
