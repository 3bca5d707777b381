"""Stage ``retrain`` of the leak study: the whole pipeline under one split protocol, in a workspace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from _stage import ROOT, RUN_ID, STAGE_KEY, Stage, run_stage
from twinfolio.errors import DataError
from twinfolio.params.file import write_params
from twinfolio.workspace import make_workspace

KEPT = ("reports/evaluate/metrics.json", "reports/evaluate/per_query.csv", "reports/split/metrics.json")


def main(stage: Stage) -> None:
    split = stage.params.split.model_copy(update={"protocol": stage.item})
    params = stage.work_dir / "params.yaml"
    write_params(stage.params.model_copy(update={"split": split}), params)
    workspace = make_workspace(ROOT, stage.data_dir, params, f"{Path.cwd().name}-{stage.item}")
    # its stages are runs of a pipeline of their own
    own = {RUN_ID, STAGE_KEY}
    clean = {key: value for key, value in os.environ.items() if key not in own and not key.startswith("DVC_")}
    if subprocess.run(["dvc", "repro"], cwd=workspace, env=clean, check=False).returncode:
        raise DataError(f"workspaces/{workspace.name}: its pipeline stopped", "see its last lines above")
    for name in KEPT:
        target = stage.output_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(workspace / name, target)


if __name__ == "__main__":
    run_stage("retrain", main, inputs=["data"], item_option="--protocol", choices=("blocks", "random"))
