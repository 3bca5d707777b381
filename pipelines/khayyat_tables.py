"""Stage ``khayyat_tables`` of ``studies/khayyat``: the run's tables -> Tables 3 to 8 of the paper beside ours."""

from __future__ import annotations

import json
from pathlib import Path

from _stage import Stage, run_stage
from twinfolio.assessment.model_folder import load_model_folder
from twinfolio.data.store import Store
from twinfolio.reporting.khayyat import tables_markdown, times_markdown
from twinfolio.reporting.khayyat_query import query_seconds
from twinfolio.reporting.khayyat_run import MODELS, Setting, read_run
from twinfolio.reporting.tables import replacing

REPORTS, MODEL, QUERIES = Path("reports"), Path("outputs/evaluate/model"), Path("outputs/store/val")


def main(stage: Stage) -> None:
    run = read_run(REPORTS, _setting(stage))
    # read, but no dependency: a time that differs must not make a stage stale
    timings = {folder: json.loads((REPORTS / folder / "timing.json").read_text()) for folder in (*MODELS, "evaluate")}
    wall = {folder: timing["wall_s"] for folder, timing in timings.items()}
    query = query_seconds(load_model_folder(MODEL), Store.open(QUERIES).images[:1])
    texts = {
        "tables.md": tables_markdown(run),
        "times.md": times_markdown(run, wall, str(timings["classify"]["device"]), query),
    }
    for name, text in texts.items():
        with replacing(stage.report_dir / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _setting(stage: Stage) -> Setting:
    params = stage.params
    store, scratch = params.augment.store, params.scratch
    return Setting(
        protocol=params.split.protocol,
        size=store.size,
        trunk=params.classify.trunk,
        scratch_size=scratch.size,
        scratch_distance=scratch.distance,
        pairs=params.siamese.pairs,
        copies=params.augment.max_copies,
    )


if __name__ == "__main__":
    inputs = ["outputs/store/store.json", str(QUERIES), str(MODEL), *(f"reports/{f}/metrics.json" for f in MODELS)]
    run_stage("khayyat_tables", main, inputs=inputs)
