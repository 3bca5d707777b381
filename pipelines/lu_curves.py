"""Stage ``lu_curves`` of ``studies/lu_grid``: the contrastive loss of every iteration, in runs of several lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from _lu import INKS, grid_params, make_home
from _stage import Stage, run_stage
from _trial import prepare_trials


def main(stage: Stage) -> None:
    from twinfolio.reporting.lu_figures import curves_figure
    from twinfolio.reporting.tables import write_table
    from twinfolio.training.loss_curve import LossCurve

    curves: dict[tuple[str, int], np.ndarray] = {}
    for grid in stage.params.lu_grid.curves:
        head, ink = grid.split("-")
        params = grid_params(stage.params, head, ink)
        home = stage.work_dir / grid
        home.mkdir(exist_ok=True)
        trials = prepare_trials(make_home(home, params, ink), params, ["siamese.epochs"], home.resolve() / "runs")
        for iterations in stage.params.lu_grid.iterations:
            kept = home / f"{iterations}.npy"
            if not kept.exists():  # a killed stage had come so far
                curve = LossCurve()
                values = {"siamese.epochs": 1, "siamese.steps_per_epoch": iterations}
                trials.run(str(iterations), values, None, [curve], lambda metrics, model: None)
                np.save(kept, np.array(curve.values, np.float64))
            curves[grid, iterations] = np.load(kept)
    rows = [
        {"grid": grid, "run": n, "iteration": i, "loss": loss}
        for (grid, n), of in curves.items()
        for i, loss in enumerate(of, 1)
    ]
    write_table(stage.report_dir / "curves.csv", pd.DataFrame(rows))
    curves_figure(stage.report_dir / "curves.png", curves)


if __name__ == "__main__":
    run_stage("lu_curves", main, inputs=[str(Path("outputs/digits", ink)) for ink in INKS])
