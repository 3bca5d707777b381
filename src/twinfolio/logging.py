"""One rank-aware logging set-up; modules only call ``logging.getLogger(__name__)``."""

from __future__ import annotations

import logging
import os
import sys


def rank() -> int:
    """The rank of this process in a distributed run; 0 where there is only one."""
    for key in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if key in os.environ:
            return int(os.environ[key])
    return 0


def set_up_logging(stage: str) -> None:
    """Send log lines to standard error: INFO from rank zero, WARNING with its rank from the others.

    Args:
        stage: The stage's name, put in front of every line.
    """
    prefix = stage if rank() == 0 else f"{stage} rank {rank()}"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"{prefix}: %(message)s"))
    root = logging.getLogger("twinfolio")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.INFO if rank() == 0 else logging.WARNING)
