"""Stage ``refit``: the champion as it is or, under ``train.refit``, trained once more on train and validation.

Everything is fixed before: the distance, the settings, the champion's best epoch (now the last) and the thresholds.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from _stage import Stage, run_stage
from _systems import COMPARED, SIAMESE, STORE
from _training import recipe, siamese_spec, write_trained
from twinfolio.assessment.champion import EMBEDDINGS, read_champion
from twinfolio.assessment.systems import REFIT
from twinfolio.reporting.tables import read_json, write_metrics

REPORTS = Path("reports/train_siamese")


def main(stage: Stage) -> None:
    distance = read_champion(COMPARED).distance
    if stage.params.train.refit:
        _refit(stage, distance)
    elif stage.rank_zero:
        _pass_on(stage, distance)


def _pass_on(stage: Stage, distance: str) -> None:
    """Hand on the champion's model, embeddings and history."""
    shutil.copytree(SIAMESE[distance], stage.output_dir / "model", dirs_exist_ok=True)
    shutil.copyfile(COMPARED / EMBEDDINGS / f"{distance}.npz", stage.output_dir / "embeddings.npz")
    for name in ("history.csv", "history.png"):
        shutil.copyfile(REPORTS / distance / name, stage.report_dir / name)
    write_metrics(stage.report_dir / "metrics.json", {"refit": 0})


def _refit(stage: Stage, distance: str) -> None:
    """Train the champion's recipe on train and validation, and embed both anew."""
    from twinfolio.assessment.embeddings import embed_gallery
    from twinfolio.assessment.systems import pick_device, trained_system
    from twinfolio.training.siamese import train_siamese

    facts = read_json(REPORTS / distance / "metrics.json")
    plan, best = recipe(stage, stage.params.siamese), int(facts["best_epoch"])
    known = {"rounds": best} if plan.budget.open_ended else {"epochs": best}
    spec = replace(siamese_spec(stage, distance), refit=True, kept_share=facts.get("kept_share", 1.0))
    trained = train_siamese(STORE, spec, replace(plan, budget=replace(plan.budget, **known)))
    if trained is None:
        return
    write_trained(stage, replace(trained, metrics={"refit": 1, **trained.metrics}))
    system = trained_system(REFIT, stage.output_dir / "model", pick_device(stage.params.trainer.accelerator))
    embed_gallery(system, STORE, stage.output_dir / "embeddings.npz")


if __name__ == "__main__":
    inputs = [f"{STORE}/{part}" for part in ("store.json", "train", "val")]
    models = ["outputs/classify/model", *map(str, SIAMESE.values())]
    run_stage("refit", main, inputs=[*inputs, str(COMPARED), *models])
