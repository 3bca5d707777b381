"""Stage ``compare_distances``: train and validation of the store and all models -> champion and thresholds."""

from __future__ import annotations

from _classical import classical_folders, classical_systems
from _stage import Stage, run_stage
from _systems import MODELS, SIAMESE, STORE, load_systems
from twinfolio.assessment.champion import EMBEDDINGS
from twinfolio.assessment.compare import PairSettings, compare_systems
from twinfolio.assessment.judgement import Resampling
from twinfolio.reporting.comparison import write_comparison


def main(stage: Stage) -> None:
    params = stage.params.compare
    comparison = compare_systems(
        [*load_systems(stage), *classical_systems()],
        list(SIAMESE),
        STORE,
        stage.output_dir / EMBEDDINGS,
        PairSettings(params.positives_per_query, params.min_positives, params.folds, params.threshold, params.seed),
        Resampling(params.bootstrap, params.seed, params.confidence),
    )
    write_comparison(comparison, params.threshold, stage.output_dir, stage.report_dir)


if __name__ == "__main__":
    run_stage(
        "compare_distances",
        main,
        inputs=[*(f"{STORE}/{part}" for part in ("store.json", "train", "val")), *MODELS, *classical_folders()],
    )
