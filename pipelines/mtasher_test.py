"""Stage ``mtasher_test`` of ``studies/mtasher_msad``: every system on test, once -> the paper's table beside ours."""

from __future__ import annotations

from _classical import classical_folders
from _mtasher import CHOICES, CLASSIFIER, EMBEDDINGS, FROZEN, STORE, TUNED, VALIDATED, load_systems, planting
from _mtasher_costs import system_costs
from _stage import Stage, run_stage
from _test_use import count_use
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.rivals import Choices, contrasts, score_test
from twinfolio.assessment.scene import open_scene
from twinfolio.reporting.mtasher import Circumstances, Study, write_study
from twinfolio.reporting.tables import read_json


def main(stage: Stage) -> None:
    params, systems, choices = stage.params.evaluate, load_systems(stage), Choices.of_json(read_json(CHOICES))
    costs = system_costs(systems)
    scene = open_scene(
        STORE,
        {system.name: EMBEDDINGS / f"{system.name}.npz" for system in systems},
        params.positives_per_query,
        params.min_positives,
        Resampling(params.bootstrap, params.seed, params.confidence),
    )
    uses = count_use(stage, scene.info.data_hash)
    outcomes, planted = score_test(systems, choices, scene, planting(stage))
    tests = contrasts(outcomes, TUNED, choices, [FROZEN], scene)
    classify, split = stage.params.classify, stage.params.split
    circumstances = Circumstances(classify.trunk, stage.params.augment.store.size, split.protocol, uses, TUNED)
    write_study(Study(outcomes, planted, scene, choices, tests, costs, circumstances), stage.report_dir)


if __name__ == "__main__":
    inputs = [str(STORE), str(VALIDATED), str(CLASSIFIER), *classical_folders()]
    run_stage("mtasher_test", main, inputs=inputs)
