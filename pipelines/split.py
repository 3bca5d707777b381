"""Stage ``split``: a folder of class folders -> manifest.csv and what was left out."""

from __future__ import annotations

from pathlib import Path

from _stage import Stage, run_stage
from twinfolio.data.building import build_manifest
from twinfolio.data.manifest import write_manifest
from twinfolio.reporting.tables import write_metrics, write_table


def main(stage: Stage) -> None:
    params = stage.params.split
    data = build_manifest(
        stage.data_dir,
        protocol=params.protocol,
        fractions=params.fractions,
        seed=params.seed,
        unknown_classes=params.unknown_classes,
        group_pattern=params.group_pattern,
        groups_file=Path(params.groups_file) if params.groups_file else None,
        near_duplicate_bits=params.near_duplicate_bits,
    )
    write_manifest(data.manifest, stage.output_dir / "manifest.csv")
    write_table(stage.report_dir / "left_out.csv", data.left_out)
    write_table(stage.report_dir / "duplicates.csv", data.duplicates)
    write_table(stage.report_dir / "classes.csv", data.classes)
    write_metrics(stage.report_dir / "metrics.json", data.counts)


if __name__ == "__main__":
    run_stage("split", main, inputs=["data"])
