"""Stage ``omniglot`` of ``studies/ma_oneshot``: drawings -> two stores, the runs, and frozen trials."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from _ma import STORES
from _stage import ROOT, Stage, run_stage
from twinfolio.data.omniglot_store import choose_alphabets, omniglot_store
from twinfolio.data.sources.omniglot import (
    SIDES,
    SMALL,
    Drawings,
    Runs,
    download,
    is_complete,
    load_drawings,
    load_runs,
)
from twinfolio.errors import ParamsError
from twinfolio.evaluation.trials import draw_trials, write_trials
from twinfolio.reporting.tables import write_json

if TYPE_CHECKING:
    from twinfolio.params.oneshot import OmniglotParams

PAPER_TRIALS = 40
logger = logging.getLogger("twinfolio.omniglot")


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


def read(params: OmniglotParams) -> tuple[Mapping[str, Drawings], Runs, bool]:
    """Both sides, the runs, and whether these are all of Omniglot's characters."""
    if params.source == "drawn":
        from twinfolio.sample.characters import drawn_alphabets, drawn_runs

        if params.background != "all":
            raise ParamsError(
                f"omniglot.background = {params.background}: made-up alphabets have no such set", "use all"
            )
        drawn = params.drawn
        sides = drawn_alphabets(drawn.background, drawn.evaluation, drawn.characters, params.seed)
        return sides, drawn_runs(sides["evaluation"], params.seed), False
    if params.runs is None:
        raise ParamsError("omniglot.runs = null: the official runs are a file of their own", "name all_runs.zip")
    named = download(Path(".twinfolio/datasets")) if params.source == "omniglot" else ROOT / params.source
    found, left_out = load_drawings(named)
    for path, reason in left_out:
        logger.warning("%s: %s, left out", path, reason)
    complete = is_complete(found)
    if not complete:
        logger.warning("%s holds other characters than Omniglot: its numbers compare with no published ones", named)
    if params.background != "all":
        found["background"] = found["background"].of(SMALL[params.background])
    return found, load_runs(ROOT / params.runs), complete


if __name__ == "__main__":
    run_stage("omniglot", main, inputs=[])
