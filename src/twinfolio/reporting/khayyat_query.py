"""How long one query takes on the processor, part by part."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from twinfolio.assessment.model_folder import ModelFolder

REPEATS = 10


def query_seconds(folder: ModelFolder, images: np.ndarray) -> dict[str, float]:
    """Median seconds of embedding one image, of the head against the whole gallery, and of sorting.

    Args:
        folder: A loaded model folder.
        images: uint8 (1, H, W, C), as the store keeps them.
    """
    query, gallery = folder.system.embed(images), np.asarray(folder.embeddings)
    scores = folder.system.scores(query, gallery)
    parts: dict[str, Callable[[], Any]] = {
        "embed": lambda: folder.system.embed(images),
        "head": lambda: folder.system.scores(query, gallery),
        "sort": lambda: np.argsort(-scores, kind="stable")[:, :10],
    }
    return {name: median(_seconds(part) for _ in range(REPEATS)) for name, part in parts.items()}


def _seconds(part: Callable[[], Any]) -> float:
    started = time.perf_counter()
    part()
    return time.perf_counter() - started
