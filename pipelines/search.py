"""Stage ``search``: params and their space -> a study, its best params as a patch, and what it learned of each key.

The same command on several machines that share ``search.storage`` shares the study.
"""

from __future__ import annotations

from pathlib import Path

from _search import Search, is_worker, run_worker
from _stage import Stage, run_stage
from twinfolio.errors import DataError


def main(stage: Stage) -> None:
    from twinfolio.reporting.search import write_search

    search = Search(Path.cwd(), stage.params)
    search.run(stage, Path(__file__))
    best = write_search(search.study, search.plan.space, stage.output_dir, stage.report_dir)
    if best is None:
        raise DataError("search: no trial was finished", "see reports/search/trials.csv for the errors")
    if stage.run is not None:
        stage.run.set_tags({f"best.{key}": str(value) for key, value in best.items()})
        stage.run.log_file(stage.output_dir / "best_params.yaml")


if __name__ == "__main__":
    if is_worker():
        run_worker(Search)
    run_stage("search", main, inputs=["outputs/store/store.json"])
