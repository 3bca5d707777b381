"""Stage ``calibrate``: the champion on validation -> neighbours, thresholds, probabilities; test is not opened."""

from __future__ import annotations

import pandas as pd

from _stage import Stage, run_stage
from _systems import CALIBRATED, COMPARED, STORE, open_system
from twinfolio.assessment.ablation import Grid
from twinfolio.assessment.calibration import CalibrationSettings
from twinfolio.assessment.champion import EMBEDDINGS, FOLDER, PAIRS, read_champion
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.readiness import make_ready
from twinfolio.assessment.system_folder import head_builder
from twinfolio.reporting.readiness import write_readiness


def main(stage: Stage) -> None:
    params, champion = stage.params.calibrate, read_champion(COMPARED)
    neighbours, folder = params.neighbours, COMPARED / FOLDER
    ready = make_ready(
        open_system(stage, folder, champion.system),
        head_builder(folder),
        STORE,
        COMPARED / EMBEDDINGS / f"{champion.system}.npz",
        pd.read_csv(COMPARED / PAIRS, dtype={"query": str, "archive": str}),
        grid=Grid(**neighbours.model_dump(exclude={"latency_ms", "repeats"})),
        latency_ms=neighbours.latency_ms,
        repeats=neighbours.repeats,
        criterion=champion.criterion,
        settings=CalibrationSettings(params.false_match_rate, params.coverage, params.folds, params.seed),
        resampling=Resampling(params.bootstrap, params.seed, params.confidence),
    )
    write_readiness(ready, stage.output_dir / CALIBRATED.name, stage.report_dir)
    stage.record(**ready.ablation.timing())


if __name__ == "__main__":
    run_stage(
        "calibrate", main,
        inputs=[*(f"{STORE}/{part}" for part in ("store.json", "train", "val", "unknown")), str(COMPARED)],
    )  # fmt: skip
