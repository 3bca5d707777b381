"""What a system costs its user: milliseconds to extract an image and to answer a query, bytes to keep an image."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from twinfolio.retrieval.prepared import PreparedGallery

ANSWERS = 10
"""Answers of a timed query."""
_ROUNDS = 3


@dataclass(frozen=True)
class SearchCost:
    """What a system costs.

    Attributes:
        extraction_ms: Milliseconds an image, from pixels to its vector.
        query_ms: Milliseconds a query, from its vector to its answers.
        bytes_per_image: Bytes that the gallery keeps in memory, an image.
        n_gallery: Images of the gallery that was asked.
    """

    extraction_ms: float
    query_ms: float
    bytes_per_image: float
    n_gallery: int


def search_cost(
    embed: Callable[[np.ndarray], np.ndarray], images: np.ndarray, gallery: PreparedGallery, queries: np.ndarray
) -> SearchCost:
    """Measure a system.

    Args:
        embed: uint8 (B, H, W, C) -> float32 (B, D); without a cache.
        images: The batch to extract; the fastest of a few rounds counts.
        gallery: Prepared once, which is not counted.
        queries: float32 (Q, D), a query a row, asked one by one; the median counts.
    """
    embed(images[:1])  # loads what the first call loads
    rounds = [_seconds(lambda: embed(images)) for _ in range(_ROUNDS)]
    gallery.search(queries[:1], ANSWERS)
    answers = [_seconds(partial(gallery.search, row[None], ANSWERS)) for row in queries]
    return SearchCost(
        extraction_ms=1000 * min(rounds) / len(images),
        query_ms=1000 * float(np.median(answers)),
        bytes_per_image=gallery.nbytes / gallery.n_images,
        n_gallery=gallery.n_images,
    )


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
