"""One grid by one worker and by two: wall-clock from start to report, and the same values.

Trials are single-threaded trainings of at least 30 s on digits; a worker keeps its process from trial to trial, and its
start (imports) is on the clock. ``python benchmarks/search_workers.py [--trials T] [--epochs E] [--images N]``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _bench import ROOT, finish
from _grid import digits, make_home

BAR, LEAST_S = 1.7, 30.0


def measure(folder: Path, jobs: int, trials: int, epochs: int, images: int) -> tuple[float, pd.DataFrame, float]:
    """Seconds of the search, its trials, and the seconds of its shortest trial."""
    source, _ = digits()
    assert source.test is not None
    train = (source.train[0][:images], source.train[1][:images])
    search = {
        "study": "workers",
        "space": {"classify.seed": {"categorical": list(range(trials))}},
        "sampler": "grid",
        "trials": None,
        "jobs": jobs,
    }
    budget = {"epochs": epochs, "patience": epochs, "batch_size": 256, "trunk_options": {"depth": 3, "kernels": 32}}
    make_home(folder, train, source.test, budget, search)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / "pipelines" / "search.py")],
        cwd=folder, env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return seconds, pd.read_csv(folder / "reports" / "search" / "trials.csv"), shortest_trial(folder)


def shortest_trial(folder: Path) -> float:
    """Seconds of the shortest trial, by the study's own clock."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder / ".twinfolio" / "search" / "workers" / "study.db"
    study = optuna.load_study(study_name="workers", storage=f"sqlite:///{path}")
    durations = [trial.duration for trial in study.trials if trial.duration is not None and trial.values]
    return min(duration.total_seconds() for duration in durations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24, help="of the grid: enough that the start is a small part")
    parser.add_argument("--epochs", type=int, default=4, help="of each trial")
    parser.add_argument("--images", type=int, default=30_000, help="train images")
    options = parser.parse_args()
    found = {}
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            found[jobs] = measure(Path(folder), jobs, options.trials, options.epochs, options.images)
    one, two = (found[jobs][1].sort_values("classify.seed") for jobs in (1, 2))
    name = "val/classification/accuracy"
    same = bool(np.array_equal(one[name], two[name]))
    ratio, shortest = found[1][0] / found[2][0], min(found[1][2], found[2][2])
    finish(
        "search_workers",
        ratio,
        "x as fast with two workers as with one",
        BAR,
        ratio >= BAR and same and shortest >= LEAST_S,
        {"one_s": found[1][0], "two_s": found[2][0], "trials": len(one), "shortest_trial_s": shortest,
         "same_values": same, "threads_a_worker": 1},
    )  # fmt: skip


if __name__ == "__main__":
    main()
