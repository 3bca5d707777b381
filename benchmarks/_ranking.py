"""What the benchmarks of ranking share: a gallery, the heads, sides that take turns, and a process a thread count."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

GALLERY, DIM, HIDDEN, K = 8638, 1024, 100, 10
DISTANCES = ("l1", "l2", "cosine")


def pooled(n: int, dim: int, seed: int) -> np.ndarray:
    """Embeddings (n, dim) as a pooled layer after ReLU gives them: not negative, in 60 classes."""
    draws = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(60, dim))
    return np.maximum(centres[draws.integers(60, size=n)] + draws.normal(size=(n, dim)), 0).astype(np.float32)


def fusion_state(dim: int = DIM, seed: int = 0) -> dict[str, np.ndarray]:
    """A fusion head's tensors as PyTorch draws them."""
    draws = np.random.default_rng(seed)

    def uniform(fan: int, *shape: int) -> np.ndarray:
        return draws.uniform(-(fan**-0.5), fan**-0.5, shape).astype(np.float32)

    width = 2 * dim + 1
    return {
        "hidden.weight": uniform(width, HIDDEN, width), "hidden.bias": uniform(width, HIDDEN),
        "out.weight": uniform(HIDDEN, 1, HIDDEN), "out.bias": uniform(HIDDEN, 1),
    }  # fmt: skip


def distance_state() -> dict[str, np.ndarray]:
    """A distance head's tensors before training."""
    return {"log_scale": np.array(np.log(10.0)), "offset": np.array(5.0)}


def take_turns(
    sides: Mapping[str, Callable[[Any], Any]], inputs: list[Any], repeats: int, burst: int = 1
) -> dict[str, float]:
    """Median seconds a call; in each round every side is called ``burst`` times, with the same inputs.

    What slows the machine for a while slows all sides. After a product OpenBLAS's threads spin for tens of milliseconds
    and take a core from whoever comes next: calls of a millisecond come in long bursts, so that each side pays for its
    own threads.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for given in inputs[:2]:
        for work in sides.values():
            work(given)
    turns: Iterator[Any] = cycle(inputs)
    for _ in range(-(-repeats // burst)):
        round_of = [next(turns) for _ in range(burst)]
        for name, work in sides.items():
            for given in round_of:
                started = time.perf_counter()
                work(given)
                times[name].append(time.perf_counter() - started)
    return {name: float(np.median(taken)) for name, taken in times.items()}


def thread_counts() -> list[int]:
    """One thread, and one a core."""
    return sorted({1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1})


def in_process(script: str, threads: int, *arguments: str) -> dict[str, Any]:
    """Run a benchmark's own script with every library held to ``threads``; its last line is JSON."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, str(Path(script).resolve()), "--measure", str(threads), *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def run_benchmark(
    script: str,
    text: str | None,
    measure: Callable[[int, int], dict[str, float]],
    report: Callable[[dict[int, dict[str, float]]], None],
    repeats: int,
) -> None:
    """Read the command line, measure in a process for each thread count, and report."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=GALLERY, help="gallery rows")
    parser.add_argument("--repeats", type=int, default=repeats, help="rounds")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.rows, given.repeats)))
        return
    arguments = ("--rows", str(given.rows), "--repeats", str(given.repeats))
    report({threads: in_process(script, threads, *arguments) for threads in thread_counts()})
