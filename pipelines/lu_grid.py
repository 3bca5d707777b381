"""Stage ``lu_grid --grid HEAD-INK``: every cell of Lu's grid under one head, with grey or binarised ink."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from _lu import GRIDS, INKS, grid_params, make_home
from _search import Search, is_worker, run_worker
from _stage import Stage, run_stage

if TYPE_CHECKING:
    from optuna.trial import Trial


class GridSearch(Search):
    """A search whose every trial is also measured on test, where nothing is chosen."""

    def measured(self, trial: Trial, model: Path) -> dict[str, float]:
        """Accuracies on validation and test; which test images were named rightly is kept beside the trial."""
        from twinfolio.assessment.digits import measure_digits

        found = measure_digits(model, Path("outputs/store"))
        arrays: dict[str, Any] = {"correct": found.correct} | (
            {} if found.embeddings is None else {"embeddings": found.embeddings}
        )
        np.savez_compressed("measured.npz", **arrays)
        return found.metrics


def main(stage: Stage) -> None:
    from twinfolio.reporting.lu import write_cells
    from twinfolio.reporting.search import write_search

    head, ink = str(stage.item).split("-")
    params = grid_params(stage.params, head, ink)
    search = GridSearch(make_home(stage.work_dir, params, ink), params)
    search.run(stage, Path(__file__))
    write_search(search.study, search.plan.space, stage.output_dir, stage.report_dir)
    write_cells(search.study, search.trials.folder, stage.output_dir)


if __name__ == "__main__":
    if is_worker():
        run_worker(GridSearch)
    stores = [f"outputs/digits/{ink}" for ink in INKS]
    run_stage("lu_grid", main, inputs=stores, item_option="--grid", choices=GRIDS)
