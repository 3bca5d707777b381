"""Stage ``leak_gap`` of the leak study: every headline number under both split protocols, side by side."""

from __future__ import annotations

from pathlib import Path

from _stage import Stage, run_stage
from twinfolio.reporting.leak_study import read_side, write_leak_study

RETRAINED = Path("outputs/retrain")


def main(stage: Stage) -> None:
    blocks, random = (read_side(RETRAINED / protocol) for protocol in ("blocks", "random"))
    params = stage.params.evaluate
    write_leak_study(blocks, random, stage.report_dir, n=params.bootstrap, seed=params.seed)


if __name__ == "__main__":
    run_stage("leak_gap", main, inputs=[str(RETRAINED)])
