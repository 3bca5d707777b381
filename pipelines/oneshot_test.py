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

MODELS = Path("outputs/oneshot")


def main(stage: Stage) -> None:
    from twinfolio.assessment.oneshot import read_runs, write_answers
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
            training = Training.named(name)
            views = views_of(training, stage.params)
            write_answers(kept, MODELS / name / "model", training.store, TRIALS, RUNS, training.size, views)
        reports = Path("reports/oneshot", name)
        facts = read_json(reports / "metrics.json") | read_json(reports / "timing.json")
        with np.load(kept, allow_pickle=False) as file:
            found[name] = {"facts": facts | json.loads(str(file["cost"])), "credit": dict(file)}
    about = read_json(ABOUT) | {"test_uses": uses_so_far(data), "views": stage.params.ma_oneshot.views}
    metrics = write_tables(found, about, read_runs(RUNS), stage.report_dir)
    write_json(stage.report_dir / "metrics.json", metrics)


if __name__ == "__main__":
    inputs = [str(MODELS), str(RUNS), str(TRIALS), str(ABOUT), *(str(store) for store in STORES.values())]
    run_stage("oneshot_test", main, inputs=inputs)
