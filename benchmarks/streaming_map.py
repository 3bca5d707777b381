"""Tie-aware retrieval metrics of N x N embeddings, never N x N in memory, against the bare blocked matrix product.

Ten gallery images of each class, ten queries of each class, 128 dimensions. "Clustered" classes lie close enough for
an mAP between .5 and .95; "random" ones share nothing, so that relevant images stand anywhere in the ranking: the
hardest case for counting. The product uses the fastest of a few shapes of tiles, those of the metrics among them;
product and metrics take turns every few thousand queries, so that a machine that slows down slows both. Memory is the
peak of the whole process, data and imports with it. ``python benchmarks/streaming_map.py [--n N]``.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _bench import finish
from threadpoolctl import threadpool_limits

from twinfolio.evaluation.ranking_metrics import RankingMetrics
from twinfolio.evaluation.retrieval_protocol import Items, candidates
from twinfolio.evaluation.streaming import TILE_GALLERY, TILE_QUERIES, Stream

DIMENSIONS, RELEVANT, THREADS = 128, 10, 2
NOISE = 1.25  # of a member around its class centre, both of length 1 before
SHAPES = ((TILE_QUERIES, TILE_GALLERY), (512, 2048), (2048, 4096), (4096, 4096))
TURN = 8  # tiles of queries
RATIO_BAR, MEMORY_BAR_GIB = 3.0, 2.0


class Cosine:
    """Scores of rows with rows, into one buffer."""

    def __init__(self, queries: np.ndarray, gallery: np.ndarray) -> None:
        self.queries, self.gallery = queries, gallery
        self.buffer = np.empty(TILE_QUERIES * TILE_GALLERY, np.float32)

    def __call__(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Scores (q, m), good until the next call."""
        out = self.buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns))
        return np.matmul(self.queries[rows], self.gallery[columns].T, out=out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="queries, and gallery images; whole tens")
    n = parser.parse_args().n
    with threadpool_limits(THREADS):
        sides = measure(n - n % RELEVANT)
    ratio = sides["clustered_s"] / sides["product_s"]
    met = ratio <= RATIO_BAR and sides["peak_memory_gib"] <= MEMORY_BAR_GIB and 0.5 <= sides["clustered_map"] <= 0.95
    print(f"{sides['n']:,} x {sides['n']:,}: product {sides['product_s']:.1f} s,", end=" ")
    for kind in ("clustered", "random"):
        seconds, value = sides[f"{kind}_s"], sides[f"{kind}_map"]
        print(f"{kind} {seconds:.1f} s = {seconds / sides['product_s']:.2f} x (mAP {value:.4f}),", end=" ")
    print(f"peak {sides['peak_memory_gib']:.2f} GiB (bars {RATIO_BAR:g} x, {MEMORY_BAR_GIB:g} GiB)")
    finish("streaming_map", ratio, "x", RATIO_BAR, met, sides)


def measure(n: int) -> dict[str, Any]:
    """Both sides, in turns."""
    queries = Items(*(np.arange(n), np.arange(n) // RELEVANT, np.arange(n), np.arange(n)))
    gallery = Items(*(np.arange(n, 2 * n), queries.labels, np.arange(n, 2 * n), np.arange(n, 2 * n)))
    data = {"clustered": embeddings(n, NOISE), "random": embeddings(n, None)}
    preparing, allowed = timed(lambda: candidates(queries, gallery))
    streams = {kind: Stream(Cosine(*pair), allowed) for kind, pair in data.items()}
    streams["clustered"].metrics(np.arange(10))  # compiles
    left, right = data["clustered"]
    shape = min(SHAPES, key=lambda shape: timed(lambda: product(left[:8192], right, *shape))[0])
    seconds = {"product": 0.0, "clustered": preparing, "random": preparing}
    parts = {kind: [] for kind in streams}
    tiles = streams["clustered"].tiles()
    for start in range(0, len(tiles), TURN):
        turn = tiles[start : start + TURN]
        rows = left[np.concatenate(turn)]
        seconds["product"] += timed(lambda rows=rows: product(rows, right, *shape))[0]
        for kind, stream in streams.items():
            spent, found = timed(lambda stream=stream, turn=turn: [stream.metrics(tile) for tile in turn])
            seconds[kind] += spent
            parts[kind] += found
    sides = {"n": n, "dimensions": DIMENSIONS, "relevant": RELEVANT, "threads": THREADS}
    sides |= {"product_tile": "x".join(map(str, shape)), "peak_memory_gib": peak_memory()}
    sides |= {f"{side}_s": spent for side, spent in seconds.items()}
    sides |= {f"{kind}_map": RankingMetrics.join(found).means()["mAP"] for kind, found in parts.items()}
    return {**sides, "random_ratio": seconds["random"] / seconds["product"], "memory_bar_gib": MEMORY_BAR_GIB}


def embeddings(n: int, noise: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Queries and gallery (n, 128), rows of length 1; without noise level, rows that share nothing."""
    draws = np.random.default_rng(0)
    centres = unit(draws.standard_normal((n // RELEVANT, DIMENSIONS), np.float32))
    sides = (draws.standard_normal((n, DIMENSIONS), np.float32) for _ in range(2))
    if noise is None:
        return tuple(unit(side) for side in sides)
    return tuple(unit(np.repeat(centres, RELEVANT, axis=0) + noise * unit(side)) for side in sides)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def product(queries: np.ndarray, gallery: np.ndarray, rows: int, columns: int) -> None:
    """Every tile of the matrix product, one after the other into one buffer."""
    buffer = np.empty(rows * columns, np.float32)
    for top in range(0, len(queries), rows):
        left = queries[top : top + rows]
        for start in range(0, len(gallery), columns):
            right = gallery[start : start + columns]
            np.matmul(left, right.T, out=buffer[: len(left) * len(right)].reshape(len(left), len(right)))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it gave."""
    started = time.perf_counter()
    given = work()
    return time.perf_counter() - started, given


def peak_memory() -> float:
    """GiB this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
