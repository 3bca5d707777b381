"""Stage ``evaluate``: the only reader of test; scores every system once and writes the model folder."""

from __future__ import annotations

from pathlib import Path

from _classical import classical_folders, classical_systems
from _explained import explain
from _registration import register
from _stage import Stage, run_stage
from _systems import CALIBRATED, COMPARED, FINAL, MODELS, STORE, final_name, test_scene, tested_systems
from _test_use import count_use
from twinfolio.assessment.champion import read_champion
from twinfolio.assessment.evaluate import evaluate_systems
from twinfolio.assessment.few_shot import TrialPlan
from twinfolio.assessment.gallery import gallery_table
from twinfolio.assessment.model_folder import write_model_folder
from twinfolio.assessment.searched import read_setting
from twinfolio.assessment.system_folder import head_builder
from twinfolio.data.manifest import read_manifest
from twinfolio.reporting.evaluation import Circumstances, write_evaluation

MANIFEST = Path("outputs/split/manifest.csv")


def main(stage: Stage) -> None:
    params, champion = stage.params.evaluate, read_champion(COMPARED)
    best = final_name(stage, champion)
    systems = tested_systems(stage, classical_systems(), best)
    scene = test_scene(stage, systems, best)
    evaluation = evaluate_systems(
        systems,
        scene,
        champion=best,
        build=head_builder(FINAL / "model"),
        thresholds=champion.thresholds | {best: champion.thresholds[champion.system]},
        search=read_setting(CALIBRATED),
        sheet_queries=params.sheet_queries,
        trials=TrialPlan(params.ways, params.shots, params.trials, params.seed),
    )
    uses = count_use(stage, scene.info.data_hash)
    circumstances = Circumstances(champion, stage.params.split.protocol, uses, params.confidence)
    write_evaluation(evaluation, explain(stage, evaluation), circumstances, stage.report_dir)
    folder = stage.output_dir / "model"
    write_model_folder(
        folder,
        bundle=FINAL / "model",
        info=scene.info,
        setting=evaluation.searched.setting,
        embeddings=evaluation.searched.gallery_vectors,
        gallery=gallery_table(scene.parts, scene.info.classes, read_manifest(MANIFEST)),
        notes=champion.notes,
    )
    pretrained = next(system.pretrained for system in systems if system.name == best)
    register(stage, folder, scene.info, compared=COMPARED, champion=champion, pretrained=pretrained)


if __name__ == "__main__":
    inputs = [str(MANIFEST), str(STORE), str(COMPARED), str(CALIBRATED), str(FINAL), *MODELS, *classical_folders()]
    run_stage("evaluate", main, inputs=inputs)
