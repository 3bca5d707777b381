"""Stage ``compare_distances``: train and validation of the store and all models -> champion and thresholds."""

from __future__ import annotations

from _classical import classical_folders, classical_systems
from _stage import Stage, run_stage
from _systems import MODELS, SIAMESE, STORE, TRAININGS, load_systems
from twinfolio.assessment.champion import EMBEDDINGS
from twinfolio.assessment.choice import Kind
from twinfolio.assessment.compare import compare_systems
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.systems import CLASSIFIER, FROZEN_TRUNK
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.reporting.comparison import write_comparison
from twinfolio.reporting.tables import read_json


def main(stage: Stage) -> None:
    params, classical = stage.params.compare, classical_systems()
    others: dict[str, Kind] = {CLASSIFIER: "classifier", FROZEN_TRUNK: "frozen_trunk"}
    comparison = compare_systems(
        [*load_systems(stage), *classical],
        list(SIAMESE),
        STORE,
        stage.output_dir / EMBEDDINGS,
        PairSettings(params.positives_per_query, params.min_positives, params.folds, params.threshold, params.seed),
        Resampling(params.bootstrap, params.seed, params.confidence),
        others | {system.name: "classical" for system in classical},
    )
    trainings = {name: read_json(path) for name, path in TRAININGS.items()}
    write_comparison(comparison, params.threshold, trainings, stage.output_dir, stage.report_dir)


if __name__ == "__main__":
    run_stage(
        "compare_distances",
        main,
        inputs=[
            *(f"{STORE}/{part}" for part in ("store.json", "train", "val")),
            *MODELS,
            *classical_folders(),
            *map(str, TRAININGS.values()),
        ],
    )
