"""What a stage took: wall time, peak memory of it and its children, and the device it ran on."""

from __future__ import annotations

import os
import platform
import resource
import sys
import threading
import time
from typing import Any, Self

import psutil

_KIB_PER_MIB = 1024


class ResourceMeter:
    """Measure a block: ``with ResourceMeter() as meter: ...``, then ``meter.summary()``.

    Time starts with the process, so that imports count. Memory is the most of three: this process's own peak, that of
    its largest finished child, and the highest sampled sum over the process tree, in which shared pages count once
    (proportional set size; where the system has none, only the first two).

    Args:
        interval: Seconds between samples.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self._process = psutil.Process()
        self._interval = interval
        self._sampled = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="resource-meter", daemon=True)

    def __enter__(self) -> Self:
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self._done.set()
        self._thread.join()

    def summary(self) -> dict[str, Any]:
        """``wall_s``, ``peak_memory_mib``, ``device``, ``n_devices``, ``n_cores``."""
        return {
            "wall_s": round(time.time() - self._process.create_time(), 2),
            "peak_memory_mib": round(max(self._sampled, *map(_peak, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))),
            "device": device_name(),
            "n_devices": n_devices(),
            "n_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        }

    def _sample(self) -> None:
        while not self._done.wait(self._interval):
            self._sampled = max(self._sampled, _tree_memory(self._process))


def device_name() -> str:
    """The GPU in words where this process has used one, else the processor's architecture."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return str(torch.cuda.get_device_name(0))
    return f"cpu ({platform.machine()})"


def n_devices() -> int:
    """Processes of this run that each had a device: the world size of a distributed run, else 1."""
    torch = sys.modules.get("torch")
    if torch is None or not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    return int(torch.distributed.get_world_size())


def _peak(who: int) -> float:
    """Peak resident memory in MiB; macOS counts bytes, Linux KiB."""
    peak = resource.getrusage(who).ru_maxrss / _KIB_PER_MIB
    return peak / _KIB_PER_MIB if sys.platform == "darwin" else peak


def _tree_memory(process: psutil.Process) -> float:
    """Memory in MiB of a process with children, 0 without (the kernel's own peak is exact then)."""
    try:
        children = process.children(recursive=True)
    except psutil.Error:
        return 0.0
    return sum(map(_proportional_memory, [process, *children])) if children else 0.0


def _proportional_memory(process: psutil.Process) -> float:
    """Proportional set size of one process in MiB; 0 where it has ended or the system does not tell."""
    try:
        return float(getattr(process.memory_full_info(), "pss", 0)) / _KIB_PER_MIB**2
    except psutil.Error:
        return 0.0
