"""Stage ``search_verdict``: a search's best params against the workspace's own, both trained anew; it opens test.

No ``dvc repro`` runs it: test is opened when a person says so (``twinfolio search --verdict``), and counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from _search import FOLDER, Search, trial_run
from _stage import Stage, run_stage
from _test_use import count_use, uses_so_far
from _trial import Trials, prepare_trials
from twinfolio.data.store import read_info
from twinfolio.tracking.run_context import flatten

BEST, STORE = Path("outputs/search/best_params.yaml"), Path("outputs/store")


def main(stage: Stage) -> None:
    from twinfolio.assessment.verdict import compare_files
    from twinfolio.reporting.tables import write_metrics
    from twinfolio.reporting.verdict import write_verdict

    search = Search(Path.cwd(), stage.params)
    seed_key = f"{search.section}.seed"
    folder = Path.cwd() / FOLDER / search.plan.name / f"verdict-{stage.key[:16]}"
    trials = prepare_trials(Path.cwd(), stage.params, [*search.plan.space.keys, seed_key], folder)
    sides: dict[str, dict[str, Any]] = {"own": {}, "best": flatten(yaml.safe_load(BEST.read_text(encoding="utf-8")))}
    data = read_info(STORE).data_hash
    if not folder.exists():  # counted before the first answer; what is kept of a verdict opens test no second time
        count_use(stage, data)
        folder.mkdir(parents=True)
    found: dict[str, list[Path]] = {side: [] for side in sides}
    for seed in range(stage.params.search.verdict_seeds):
        for side, values in sides.items():
            found[side].append(answered(stage, trials, f"{side}-{seed}", values | {seed_key: seed}))
    metrics = {"test_uses": uses_so_far(data), **compare_files(**found)}
    write_metrics(stage.report_dir / "metrics.json", metrics)
    write_verdict(metrics, sides["best"], stage.params.search.verdict_seeds, stage.report_dir)


def answered(stage: Stage, trials: Trials, name: str, values: dict[str, Any]) -> Path:
    """The answers of a model trained by some values; those of a killed run are not asked for again."""
    from twinfolio.assessment.verdict import write_answers

    kept = trials.folder / name / "answers.npz"
    if not kept.exists():
        assert stage.run is not None
        with trial_run(stage.run, name, values, trials.folder / name) as run:
            trials.run(name, values, run, [], lambda _, model: write_answers(kept, model, STORE))
    return kept


if __name__ == "__main__":
    run_stage("search_verdict", main, inputs=[str(BEST), str(STORE / "store.json")])
