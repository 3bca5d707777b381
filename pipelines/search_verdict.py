"""Stage ``search_verdict``: a search's best params against the workspace's own, both trained anew; it opens test.

No ``dvc repro`` runs it: test is opened when a person says so (``twinfolio search --verdict``), and counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from _search import FOLDER, Search
from _stage import ROOT, Stage, run_stage
from _trial import Trials, prepare_trials
from twinfolio.data.store import read_info
from twinfolio.tracking.identity import git_commit
from twinfolio.tracking.run_context import flatten

BEST, STORE = Path("outputs/search/best_params.yaml"), Path("outputs/store")
SPLITS = ("val", "test")


def main(stage: Stage) -> None:
    from twinfolio.assessment.verdict import Answers, compare
    from twinfolio.reporting.tables import write_metrics
    from twinfolio.reporting.test_uses import append_test_use, params_hash
    from twinfolio.reporting.verdict import write_verdict

    search = Search(Path.cwd(), stage.params)
    seed_key = f"{search.section}.seed"
    folder = Path.cwd() / FOLDER / search.plan.name / f"verdict-{stage.key[:16]}"
    trials = prepare_trials(Path.cwd(), stage.params, [*search.plan.space.keys, seed_key], folder)
    sides: dict[str, dict[str, Any]] = {"own": {}, "best": flatten(yaml.safe_load(BEST.read_text(encoding="utf-8")))}
    found: dict[str, list[Path]] = {side: [] for side in sides}
    for seed in range(stage.params.search.verdict_seeds):
        for side, values in sides.items():
            found[side].append(trained(stage, trials, f"{side}-{seed}", values | {seed_key: seed}))
    uses = append_test_use(
        Path("reports/test_uses.csv"),
        read_info(STORE).data_hash,
        params_hash(stage.params.model_dump(mode="json")),
        git_commit(ROOT),
    )
    metrics: dict[str, float] = {"test_uses": uses}
    for split in SPLITS:
        loaded = {side: [np.load(path) for path in paths] for side, paths in found.items()}
        answers = {s: [Answers(file[split], file[f"{split}_groups"]) for file in of] for s, of in loaded.items()}
        metrics |= {f"{split}/verdict/{name}": value for name, value in compare(**answers).items()}
    write_metrics(stage.report_dir / "metrics.json", metrics)
    write_verdict(metrics, sides["best"], stage.params.search.verdict_seeds, stage.report_dir)


def trained(stage: Stage, trials: Trials, name: str, values: dict[str, Any]) -> Path:
    """The answers of a model trained by some values; those of a killed run are not asked for again."""
    from twinfolio.assessment.verdict import answers

    kept = trials.folder / name / "answers.npz"
    if kept.exists():
        return kept

    def measure(_: dict[str, float], model: Path) -> list[float]:
        arrays: dict[str, Any] = {}
        for split in SPLITS:
            of = answers(model, STORE, split)
            arrays |= {split: of.values, f"{split}_groups": of.groups}
        np.savez_compressed(kept, **arrays)
        return []

    assert stage.run is not None
    run = stage.run.child(name, values, trials.folder / name / "run.json")
    trials.run(name, values, run, [], measure)
    run.end("FINISHED", state="COMPLETE")
    return kept


if __name__ == "__main__":
    run_stage("search_verdict", main, inputs=[str(BEST), str(STORE / "store.json")])
