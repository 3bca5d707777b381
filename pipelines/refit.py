"""Stage ``refit``: the champion as it is or, under ``train.refit``, trained once more on train and validation.

Everything is fixed before: the distance, the settings, the champion's best epoch (now the last) and the thresholds.
Only a distance's model is trained once more; any other champion is passed on.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from _stage import Stage, run_stage
from _systems import CLASSIFIER, COMPARED, STORE
from _training import recipe, siamese_spec, write_trained
from twinfolio.assessment.champion import EMBEDDINGS, FOLDER, Champion, read_champion
from twinfolio.assessment.systems import REFIT
from twinfolio.reporting.tables import read_json, write_metrics, write_table

REPORTS = Path("reports/train_siamese")

logger = logging.getLogger("twinfolio.refit")


def main(stage: Stage) -> None:
    champion = read_champion(COMPARED)
    if stage.params.train.refit and champion.retrainable:
        _refit(stage, champion.system)
    elif stage.rank_zero:
        _pass_on(stage, champion)


def _pass_on(stage: Stage, champion: Champion) -> None:
    """Hand on the champion's files, embeddings and history."""
    asked = stage.params.train.refit
    if asked:
        logger.warning("train.refit: true, but %s is no distance's model: it is passed on as it is", champion.system)
    shutil.copytree(COMPARED / FOLDER, stage.output_dir / "model", dirs_exist_ok=True)
    shutil.copyfile(COMPARED / EMBEDDINGS / f"{champion.system}.npz", stage.output_dir / "embeddings.npz")
    _write_history(stage, champion)
    write_metrics(stage.report_dir / "metrics.json", {"refit": 0} | ({"refit_asked": 1} if asked else {}))


def _write_history(stage: Stage, champion: Champion) -> None:
    """Hand on how the champion was trained; what is not one training has an empty history."""
    from twinfolio.reporting.plots import plot_history

    source = {"distance": REPORTS / champion.system, "classifier": Path("reports/classify")}.get(champion.kind)
    names = ("history.csv", "history.png")
    if source is None:
        import pandas as pd

        empty = pd.DataFrame({"epoch": pd.Series(dtype=int)})
        write_table(stage.report_dir / names[0], empty)
        plot_history(stage.report_dir / names[1], empty)
    else:
        for name in names:
            shutil.copyfile(source / name, stage.report_dir / name)


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
    run_stage("refit", main, inputs=[*inputs, str(COMPARED), str(CLASSIFIER)])
