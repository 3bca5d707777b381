"""Work on the rows of a gallery, shared out among the cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

Result = TypeVar("Result")
_CELLS = 1 << 18
"""Fewer values than this are not worth a thread."""


def threads() -> int:
    """Cores this process may use: ``OMP_NUM_THREADS``, or as many as the system gives it."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parts(shape: tuple[int, ...], work: Callable[[slice], Result]) -> list[Result]:
    """Do ``work``, which must release the interpreter's lock, on runs of rows at the same time.

    Args:
        shape: Rows, and values a row.
        work: From a run of rows to its result.

    Returns:
        The results in the order of rows.
    """
    rows, width = shape
    n = max(1, min(threads(), rows * width // _CELLS))
    ends = [rows * part // n for part in range(n + 1)]
    parts = [slice(start, stop) for start, stop in pairwise(ends)]
    if n == 1:
        return [work(parts[0])]
    others = [_pool(os.getpid(), n).submit(work, part) for part in parts[1:]]
    return [work(parts[0]), *(other.result() for other in others)]


@cache
def _pool(process: int, n: int) -> ThreadPoolExecutor:
    """Kept for the life of a process; a forked one has none of its parent's threads and starts its own."""
    return ThreadPoolExecutor(n, thread_name_prefix=f"rows-{process}")
