"""Stage ``lu_tables`` of ``studies/lu_grid``: the cells of every grid -> Lu's table beside ours, and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from _stage import Stage, run_stage
from twinfolio.reporting.lu_tables import write_tables

CURVES, STORE = Path("reports/lu_curves/curves.png"), Path("outputs/digits/grey/test")


def main(stage: Stage) -> None:
    grids: dict[str, Path] = {grid: Path("outputs/lu_grid", grid) for grid in stage.params.lu_grid.grids}
    write_tables(grids, Path(stage.params.digits.source).name, np.load(STORE / "labels.npy"), CURVES, stage.report_dir)


if __name__ == "__main__":
    run_stage("lu_tables", main, inputs=["outputs/lu_grid", str(CURVES), str(STORE)])
