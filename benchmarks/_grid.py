"""What the benchmarks of the search share: a home with a store of digits, params of Lu's grid, and a tracked run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _bench import ROOT

sys.path.insert(0, str(ROOT / "pipelines"))

from twinfolio.data.array_store import Part, write_array_store
from twinfolio.data.sources.digits import Digits, load_digits
from twinfolio.params import Params
from twinfolio.params.file import load_params, parse_params, patched, write_params

if TYPE_CHECKING:
    from twinfolio.tracking.run_context import StageRun

MNIST = ROOT.parent / "shared" / "data" / "mnist.npz"
"""Beside a working copy, if it is there: the benchmarks of speed do with scikit-learn's digits repeated."""
TRAIN, TEST = 60_000, 10_000


def digits() -> tuple[Digits, str]:
    """MNIST, or as many images of scikit-learn's digits; and which."""
    if MNIST.exists():
        return load_digits(str(MNIST)), "mnist"
    images, labels = load_digits("sklearn").train
    rows = np.arange(TRAIN + TEST) % len(labels)
    train, test = rows[:TRAIN], rows[TRAIN:]
    return Digits((images[train], labels[train]), (images[test], labels[test])), "sklearn, repeated"


def make_home(folder: Path, train: Part, val: Part, classify: dict[str, Any], search: dict[str, Any]) -> Params:
    """A workspace whose trials train the classifier of Lu's grid on some digits; its params.

    Args:
        folder: The workspace.
        train: Images and labels.
        val: Images and labels.
        classify: Keys of section ``classify`` that differ from the study's.
        search: Section ``search``.
    """
    few = (val[0][:10], val[1][:10])  # the store wants a test part; none is read
    write_array_store(folder / "outputs" / "store", {"train": train, "val": val, "test": few}, [*"0123456789"])
    study = load_params(ROOT / "studies" / "lu_grid" / "params.yaml").model_dump(mode="json")
    objective = {"target": "classify", "objectives": {"val/classification/accuracy": "maximize"}}
    sections = {"classify": classify, "search": objective | search, "tracking": {"system_metrics": False}}
    values = {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
    params = parse_params(patched(study, values), source="benchmark")
    write_params(params, folder / "params.yaml")
    return params


def tracked_run(folder: Path) -> StageRun:
    """A run of a new MLflow store in SQLite, as a stage would have it."""
    from twinfolio.tracking.run_context import RunPlan, start_stage_run

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    os.environ["MLFLOW_TRACKING_URI"] = uri
    plan = RunPlan(
        name="search",
        key="benchmark",
        pipeline="benchmark",
        pipeline_key="benchmark0",
        experiment="benchmark",
        params={},
        all_params={},
        tags={},
        state_file=folder / "run.json",
    )
    return start_stage_run(plan, uri, folder)
