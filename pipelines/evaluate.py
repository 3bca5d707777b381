"""Stage ``evaluate``: the only reader of test; scores every system once and writes the model folder."""

from __future__ import annotations

from pathlib import Path

from _registration import register
from _stage import ROOT, Stage, run_stage
from _systems import COMPARED, FINAL, MODELS, STORE, tested_systems
from twinfolio.assessment.champion import EMBEDDINGS, read_champion
from twinfolio.assessment.evaluate import evaluate_systems
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.model_folder import gallery_table, write_model_folder
from twinfolio.assessment.systems import REFIT
from twinfolio.models.bundle import read_config
from twinfolio.reporting.evaluation import Circumstances, write_evaluation
from twinfolio.reporting.test_uses import append_test_use, params_hash
from twinfolio.tracking.identity import git_commit


def main(stage: Stage) -> None:
    params, champion = stage.params.evaluate, read_champion(COMPARED)
    systems, best = tested_systems(stage), REFIT if stage.params.train.refit else champion.distance
    of_champion = {best: FINAL / "embeddings.npz"}
    evaluation = evaluate_systems(
        systems,
        champion=best,
        thresholds=champion.thresholds | {best: champion.thresholds[champion.distance]},
        store_root=STORE,
        embeddings={one.name: COMPARED / EMBEDDINGS / f"{one.name}.npz" for one in systems} | of_champion,
        positives_per_query=params.positives_per_query,
        min_positives=params.min_positives,
        sheet_queries=params.sheet_queries,
        resampling=Resampling(params.bootstrap, params.seed, params.confidence),
    )
    settings = params_hash(stage.params.model_dump(mode="json"))
    uses = append_test_use(Path("reports/test_uses.csv"), evaluation.info.data_hash, settings, git_commit(ROOT))
    circumstances = Circumstances(champion, stage.params.split.protocol, uses, confidence=params.confidence)
    write_evaluation(evaluation, circumstances, stage.report_dir)
    folder = stage.output_dir / "model"
    write_model_folder(
        folder,
        bundle=FINAL / "model",
        info=evaluation.info,
        threshold=champion.threshold_facts(),
        embeddings=evaluation.gallery_embeddings,
        gallery=gallery_table(evaluation.gallery_parts, evaluation.info.classes),
    )
    pretrained = bool(read_config(folder)["pretrained"])
    register(stage, folder, evaluation.info, compared=COMPARED, distance=champion.distance, pretrained=pretrained)


if __name__ == "__main__":
    run_stage("evaluate", main, inputs=[str(STORE), str(COMPARED), str(FINAL), *MODELS])
