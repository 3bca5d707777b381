"""64 queries' top 10 of 8,638 embeddings of 1,024 dimensions, from the embeddings to the settled rankings.

The fusion head, both orders averaged, against NumPy's product of (6400, 1024) with (1024, 8638): the head needs that
product and no more, so its speed is the product's floating-point operations over its own whole time. Distance heads
against the same queries one at a time. Sides take turns; medians; with one thread and with all cores.
"""

from __future__ import annotations

import numpy as np
from _bench import finish
from _ranking import (
    DIM,
    DISTANCES,
    HIDDEN,
    K,
    distance_state,
    fusion_state,
    pooled,
    run_benchmark,
    take_turns,
)

from twinfolio.retrieval.heads import build_scorer
from twinfolio.retrieval.search import search

QUERIES = 64
PRODUCT_BAR, BATCH_BAR = 0.80, 1.5


def main() -> None:
    run_benchmark(__file__, __doc__, measure, report, repeats=15)


def measure(rows: int, repeats: int) -> dict[str, float]:
    """GFLOP/s of the product and of the fusion head; milliseconds a query of the distance heads."""
    gallery, batches = pooled(rows, DIM, seed=1), [pooled(QUERIES, DIM, seed=seed) for seed in range(2, 6)]
    fusion = build_scorer("fusion", "cosine", fusion_state(), gallery)
    left = np.random.default_rng(0).normal(size=(QUERIES * HIDDEN, DIM)).astype(np.float32)
    sides = {"product": lambda _: left @ gallery.T, "fusion": lambda queries: search(fusion, queries, K)}
    work = 2e-9 * len(left) * DIM * rows
    found = {f"{name}_gflops": work / taken for name, taken in take_turns(sides, batches, repeats).items()}
    for name in DISTANCES:
        head = build_scorer("distance", name, distance_state(), gallery)
        taken = take_turns({"batch": at_once(head), "single": singly(head)}, batches, repeats)
        found |= {f"{name}_{side}_ms": 1e3 * seconds / QUERIES for side, seconds in taken.items()}
    return found


def at_once(head):
    """All queries in one call."""
    return lambda queries: search(head, queries, K)


def singly(head):
    """The same queries, one after the other."""
    return lambda queries: [search(head, query[None], K) for query in queries]


def report(measured: dict[int, dict[str, float]]) -> None:
    """Print both demands at each thread count; both must be met at each."""
    shares = {threads: found["fusion_gflops"] / found["product_gflops"] for threads, found in measured.items()}
    gains = {
        threads: {name: found[f"{name}_single_ms"] / found[f"{name}_batch_ms"] for name in DISTANCES}
        for threads, found in measured.items()
    }
    for threads, found in measured.items():
        print(f"{threads} thread(s): fusion {found['fusion_gflops']:.0f} GFLOP/s, product", end=" ")
        print(
            f"{found['product_gflops']:.0f}: {shares[threads]:.1%} (bar {PRODUCT_BAR:.0%}); ms a query, one at a time",
            end=" ",
        )
        each = (
            f"{name} {found[f'{name}_single_ms']:.2f} -> {found[f'{name}_batch_ms']:.2f}, {gain:.1f} x"
            for name, gain in gains[threads].items()
        )
        print(f"-> {QUERIES} at once: {'; '.join(each)} (bar {BATCH_BAR:g} x)")
    sides = {f"{name}_{threads}t": value for threads, found in measured.items() for name, value in found.items()}
    sides |= {f"fusion_share_{threads}t": share for threads, share in shares.items()}
    sides |= {f"{name}_gain_{threads}t": gain for threads, of in gains.items() for name, gain in of.items()}
    worst = min(shares.values())
    ok = worst >= PRODUCT_BAR and all(gain >= BATCH_BAR for of in gains.values() for gain in of.values())
    finish("rank_batch", worst, "of the matrix product's speed", PRODUCT_BAR, ok, sides | {"batch_bar": BATCH_BAR})


if __name__ == "__main__":
    main()
