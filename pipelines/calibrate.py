"""Stage ``calibrate``: the champion on validation -> neighbours, thresholds, probabilities; test is not opened."""

from __future__ import annotations

import pandas as pd

from _stage import Stage, run_stage
from _systems import CALIBRATED, COMPARED, SIAMESE, STORE
from twinfolio.assessment.ablation import Grid
from twinfolio.assessment.calibration import CalibrationSettings
from twinfolio.assessment.champion import EMBEDDINGS, PAIRS, read_champion
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.neighbour_bench import head_builder
from twinfolio.assessment.readiness import make_ready
from twinfolio.assessment.systems import pick_device, trained_system
from twinfolio.reporting.readiness import write_readiness


def main(stage: Stage) -> None:
    params, champion = stage.params.calibrate, read_champion(COMPARED)
    neighbours = params.neighbours
    ready = make_ready(
        trained_system(champion.distance, SIAMESE[champion.distance], pick_device(stage.params.trainer.accelerator)),
        head_builder(SIAMESE[champion.distance]),
        STORE,
        COMPARED / EMBEDDINGS / f"{champion.distance}.npz",
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
    models = [str(folder) for folder in SIAMESE.values()]
    run_stage(
        "calibrate", main,
        inputs=[*(f"{STORE}/{part}" for part in ("store.json", "train", "val", "unknown")), str(COMPARED), *models],
    )  # fmt: skip
