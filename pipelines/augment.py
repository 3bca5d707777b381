"""Stage ``augment``: manifest and images -> the store."""

from __future__ import annotations

from pathlib import Path

from _stage import Stage, run_stage
from twinfolio.data.manifest import read_manifest
from twinfolio.data.store import rows_per_class
from twinfolio.data.store_plan import Rendering
from twinfolio.data.store_writer import write_store
from twinfolio.reporting.tables import write_metrics, write_table

STORE = Path("outputs/store")


def main(stage: Stage) -> None:
    params = stage.params.augment
    info = write_store(
        read_manifest(Path("outputs/split/manifest.csv")),
        stage.data_dir,
        STORE,
        Rendering(**params.store.model_dump(), policy=params.policy, seed=params.seed),
        per_class=params.per_class,
        max_copies=params.max_copies,
        workers=params.workers,
    )
    counts = {f"{split}/store/{name}": n for split, row in info.counts.items() for name, n in row.items()}
    write_metrics(stage.report_dir / "metrics.json", counts)
    write_table(stage.report_dir / "classes.csv", rows_per_class(STORE))


if __name__ == "__main__":
    run_stage("augment", main, inputs=["data", "outputs/split/manifest.csv"])
