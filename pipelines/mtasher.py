"""Stage ``mtasher`` of ``studies/mtasher_msad``: train and validation -> thresholds, and the best classical."""

from __future__ import annotations

from _classical import classical_folders
from _mtasher import CHOICES, CLASSIFIER, EMBEDDINGS, STORE, classical_names, load_systems, planting
from _stage import Stage, run_stage
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.rivals import validate
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.reporting.mtasher_tables import write_validation
from twinfolio.reporting.tables import write_json


def main(stage: Stage) -> None:
    params = stage.params.compare
    validated = validate(
        load_systems(stage),
        classical_names(stage),
        STORE,
        EMBEDDINGS,
        PairSettings(params.positives_per_query, params.min_positives, params.folds, params.threshold, params.seed),
        planting(stage),
        Resampling(params.bootstrap, params.seed, params.confidence),
    )
    write_json(CHOICES, validated.choices.as_json(), digits=None)
    write_validation(validated, stage.report_dir)


if __name__ == "__main__":
    stores = [f"{STORE}/{part}" for part in ("store.json", "train", "val")]
    run_stage("mtasher", main, inputs=[*stores, str(CLASSIFIER), *classical_folders()])
