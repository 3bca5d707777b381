"""What every benchmark shares: the last line, the recorded row, and the machine in words."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.jsonl"


def finish(name: str, value: float, unit: str, bar: float, ok: bool, sides: Mapping[str, Any]) -> None:
    """Record the row with machine and commit, and print it as the last line.

    Args:
        name: The benchmark's name, as in ``make bench NAME=...``.
        value: The figure that ``bar`` is about.
        unit: Its unit ("x" for a ratio).
        bar: What was asked for.
        ok: Whether every demand was met.
        sides: What was measured on both sides, in named units.
    """
    row = {"name": name, "value": _short(value), "unit": unit, "bar": bar, "ok": bool(ok)}
    row["sides"] = {key: _short(side) for key, side in sides.items()}
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**row, "machine": machine(), "commit": commit()}) + "\n")
    print(json.dumps(row), flush=True)


def skipped(name: str, unit: str, bar: float, reason: str) -> None:
    """Print the last line of a benchmark that this machine cannot run; nothing is recorded.

    Args:
        name: See ``finish``.
        unit: See ``finish``.
        bar: See ``finish``.
        reason: What is missing.
    """
    row = {"name": name, "value": None, "unit": unit, "bar": bar, "ok": None, "sides": {"reason": reason}}
    print(json.dumps(row), flush=True)


def best_time(work: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest of ``repeats`` calls: what the code costs when nothing else wants the machine."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def machine() -> str:
    """Cores, processor, memory and GPU in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {_processor()}, {_memory_gib():.0f} GiB, {_gpu()}"


def commit() -> str:
    """The commit measured, with ``+`` where the working tree differs from it."""
    described = _output("git", "rev-parse", "--short=10", "HEAD") or "no commit"
    changed = _output("git", "status", "--porcelain", "--", "src", "pipelines", "benchmarks/*.py")
    return described + ("+" if changed else "")


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
