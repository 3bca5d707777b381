"""Stage ``omniglot`` of ``studies/ma_oneshot``: drawings -> two stores, the runs, and frozen trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from _ma import STORES
from _omniglot import read
from _stage import Stage, run_stage
from twinfolio.data.omniglot_store import choose_alphabets, omniglot_store
from twinfolio.data.sources.omniglot import SIDES
from twinfolio.evaluation.trials import draw_trials, write_trials
from twinfolio.reporting.tables import write_json

PAPER_TRIALS = 40


def main(stage: Stage) -> None:
    params = stage.params.omniglot
    sides, runs, complete = read(params)
    validation = choose_alphabets(sides["background"], params.validation_alphabets, params.ways, params.seed)
    out = stage.output_dir
    ours, papers = (out / STORES[recipe].name for recipe in ("ours", "paper"))
    omniglot_store(ours, sides, validation, size=params.size, poses=params.poses, refit=params.refit)
    omniglot_store(papers, sides, validation, size=105, poses=1)
    np.savez_compressed(out / "runs.npz", **vars(runs))
    (out / "trials").mkdir(exist_ok=True)
    evaluation = sides["evaluation"]
    for name, each in (("paper", PAPER_TRIALS), ("many", params.trials)):
        trials = draw_trials(
            evaluation.classes, evaluation.alphabets, np.arange(len(evaluation.names)),
            ways=params.ways, per_family=each, seed=params.seed,
        )  # fmt: skip
        write_trials(trials, evaluation.names, out / "trials" / f"{name}.csv")
    chosen = {
        "source": Path(params.source).name,
        "background_set": params.background,
        "validation": validation,
        "refit": params.refit,
    }
    write_json(out / "about.json", chosen | {"complete": complete} | {side: sides[side].facts for side in SIDES})


if __name__ == "__main__":
    run_stage("omniglot", main, inputs=[])
