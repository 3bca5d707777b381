"""Stage ``oneshot_test`` of ``studies/ma_oneshot``: every model on the evaluation alphabets, once -> tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from _ma import ABOUT, RUNS, STORES, TRIALS, Training, views_of
from _stage import Stage, run_stage
from _test_use import count_use, uses_so_far
from twinfolio.data.store import read_info
from twinfolio.params import Params

MODELS = Path("outputs/oneshot")


def main(stage: Stage) -> None:
    from twinfolio.reporting.ma import write_tables
    from twinfolio.reporting.tables import read_json, write_json

    data = read_info(STORES["ours"]).data_hash
    answers = stage.work_dir / "answers"
    if not answers.exists():  # counted before the first answer; a killed stage opens test no second time
        count_use(stage, data)
        answers.mkdir()
    found: dict[str, dict[str, Any]] = {}
    for name in stage.params.ma_oneshot.trainings:
        kept = answers / f"{name}.npz"
        if not kept.exists():
            answer(Training.named(name), MODELS / name / "model", kept, stage.params)
        reports = Path("reports/oneshot", name)
        facts = read_json(reports / "metrics.json") | read_json(reports / "timing.json")
        with np.load(kept, allow_pickle=False) as file:
            found[name] = {"facts": facts | json.loads(str(file["cost"])), "credit": dict(file)}
    about = read_json(ABOUT) | {"test_uses": uses_so_far(data)}
    metrics = write_tables(found, about, stage.report_dir)
    write_json(stage.report_dir / "metrics.json", metrics)


def answer(training: Training, folder: Path, target: Path, params: Params) -> None:
    """Write a model's credit on every trial, the families of the trials, and what the model costs."""
    from twinfolio.assessment.cost import model_cost
    from twinfolio.assessment.oneshot import credit_of, evaluation_trials
    from twinfolio.data.omniglot_store import shrink
    from twinfolio.data.store import Store
    from twinfolio.evaluation.oneshot import Trials
    from twinfolio.models.bundle import load_model

    model, images, views = load_model(folder), Store.open(training.store / "test").images, views_of(training, params)
    trials = evaluation_trials(training.store, TRIALS)
    arrays: dict[str, Any] = {**credit_of(model, images, trials, views)}
    with np.load(RUNS, allow_pickle=False) as file:
        runs = Trials(*(file[name] for name in ("families", "queries", "answers", "support")))
        arrays |= credit_of(model, shrink(file["images"], images.shape[1])[..., None], {"runs": runs}, views)
    for name, of in {**trials, "runs": runs}.items():
        arrays[f"{name}_families"] = of.families
    size = training.size or (images.shape[1], images.shape[2])
    cost = json.dumps(model_cost(model, (images.shape[3], *size)))
    part = target.with_suffix(".part.npz")
    np.savez_compressed(part, cost=np.array(cost), **arrays)
    part.replace(target)


if __name__ == "__main__":
    inputs = [str(MODELS), str(RUNS), str(TRIALS), str(ABOUT), *(str(store) for store in STORES.values())]
    run_stage("oneshot_test", main, inputs=inputs)
