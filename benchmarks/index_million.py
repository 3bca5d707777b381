"""A million embeddings of 128 dimensions under the three backends: build, memory, recall@10 and speed in one table.

The vectors are a mixture of 10,000 clusters of unequal size, their spread and their noise in fewer and fewer of the 128
directions, as trained embeddings lie; queries are new draws. Each backend is built in one process and asked in another,
so that memory is its own. Recall is against the exact backend, after the exact scores of the candidates. ``python
benchmarks/index_million.py [--n ROWS]``; a million takes up to half an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _bench import finish

from twinfolio.retrieval.backends import BACKENDS, build_backend, open_backend, recall_at
from twinfolio.retrieval.heads import build_scorer
from twinfolio.retrieval.search import search

DIM, QUERIES, SINGLE, K, DISTANCE = 128, 1024, 64, 10, "l2"
RECALL_BAR = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000, help="rows")
    parser.add_argument("--phase", choices=("build", "ask"), help=argparse.SUPPRESS)
    parser.add_argument("--backend", choices=BACKENDS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.phase:
        print(json.dumps({"build": build, "ask": ask}[given.phase](given.backend, given.folder)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        vectors, queries = np.split(mixture(given.n + QUERIES, DIM, seed=0), [given.n])
        np.save(folder / "vectors.npy", vectors)
        np.save(folder / "queries.npy", queries)
        del vectors
        found = {name: {**child("build", name, folder), **child("ask", name, folder)} for name in BACKENDS}
        exact = np.load(folder / "exact.npy")
        for name in BACKENDS:
            found[name]["recall"] = recall_at(K, np.load(folder / f"{name}.npy"), exact)
    report(given.n, found)


def mixture(n: int, dim: int, seed: int) -> np.ndarray:
    """N rows of max(10, n / 100) clusters; the j-th direction has 1 / sqrt(j) of the first one's spread."""
    draws = np.random.default_rng(seed)
    clusters, spread = max(10, n // 100), np.arange(1, dim + 1, dtype=np.float32) ** -0.5
    centres = draws.normal(size=(clusters, dim)).astype(np.float32) * spread
    sizes = draws.pareto(1.5, clusters) + 1
    rows = draws.standard_normal((n, dim), dtype=np.float32) * (0.5 * spread)
    rows += centres[draws.choice(clusters, n, p=sizes / sizes.sum())]
    return rows


def child(phase: str, backend: str, folder: Path) -> dict[str, float]:
    """A phase of a backend in a process of its own; its last line is JSON."""
    command = [sys.executable, __file__, "--phase", phase, "--backend", backend, "--folder", str(folder)]
    done = subprocess.run(command, env=os.environ, stdout=subprocess.PIPE, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    print(f"{backend}, {phase}: {measured}", flush=True)
    return measured


def build(backend: str, folder: Path) -> dict[str, float]:
    """Seconds and peak memory of the build, and the bytes of what it leaves beside the vectors."""
    vectors = np.load(folder / "vectors.npy")
    started = time.perf_counter()
    ann = build_backend(backend, vectors, DISTANCE)
    seconds = time.perf_counter() - started
    if ann is not None:
        (folder / f"{backend}.faiss").write_bytes(ann)
    return {"build_s": seconds, "index_mib": len(ann or b"") / 2**20, "build_peak_mib": peak()}


def ask(backend: str, folder: Path) -> dict[str, float]:
    """Queries a second, all at once and one at a time, and peak memory; the rows found go to a file."""
    state = {"log_scale": np.array(np.log(10.0)), "offset": np.array(5.0)}
    scorer = build_scorer("distance", DISTANCE, state, np.load(folder / "vectors.npy", mmap_mode="r"))
    ann = None if backend == "exact" else open_backend(folder / f"{backend}.faiss", DISTANCE)
    queries = np.load(folder / "queries.npy")
    for some in (queries[:SINGLE], queries[:1]):  # kernels are compiled, pages are read
        search(scorer, some, K, backend=ann)
    started = time.perf_counter()
    rows = search(scorer, queries, K, backend=ann).ids
    at_once = time.perf_counter() - started
    started = time.perf_counter()
    for query in queries[:SINGLE]:
        search(scorer, query[None], K, backend=ann)
    singly = time.perf_counter() - started
    np.save(folder / f"{backend}.npy", rows)
    return {
        "batch_per_s": len(queries) / at_once,
        "single_per_s": SINGLE / singly,
        "single_ms": 1e3 * singly / SINGLE,
        "ask_peak_mib": peak(),
    }


def peak() -> float:
    """MiB this process held at most, mapped pages of files that it touched among them."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def report(n: int, found: dict[str, dict[str, float]]) -> None:
    """The table, then the row."""
    print(f"{n} x {DIM}, {DISTANCE}: vectors {4 * n * DIM / 2**20:.0f} MiB; {QUERIES} queries, top {K}")
    print(
        "| backend | build | index | peak of build | peak of queries | recall@10 | queries/s at once | one at a time |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, of in found.items():
        print(
            f"| {name} | {of['build_s']:.1f} s | {of['index_mib']:.0f} MiB | {of['build_peak_mib']:.0f} MiB |", end=" "
        )
        print(f"{of['ask_peak_mib']:.0f} MiB | {of['recall']:.4f} | {of['batch_per_s']:.0f} |", end=" ")
        print(f"{of['single_per_s']:.0f} ({of['single_ms']:.2f} ms) |")
    sides = {f"{name}_{key}": value for name, of in found.items() for key, value in of.items()}
    worst = min(found[name]["recall"] for name in BACKENDS if name != "exact")
    finish("index_million", worst, "lowest recall@10", RECALL_BAR, worst >= RECALL_BAR, {"rows": n} | sides)


if __name__ == "__main__":
    main()
