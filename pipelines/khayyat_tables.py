"""Stage ``khayyat_tables`` of ``studies/khayyat``: the run's tables -> Tables 3 to 8 of the paper beside ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from _stage import Stage, run_stage
from twinfolio.assessment.model_folder import load_model_folder
from twinfolio.data.store import Store
from twinfolio.reporting.khayyat import tables_markdown, times_markdown
from twinfolio.reporting.khayyat_run import MODELS, Setting, read_run
from twinfolio.reporting.tables import replacing

REPORTS, MODEL, QUERIES = Path("reports"), Path("outputs/evaluate/model"), Path("outputs/store/val")
REPEATS = 10


def main(stage: Stage) -> None:
    run = read_run(REPORTS, _setting(stage))
    # read, but no dependency: a time that differs must not make a stage stale
    timings = {folder: json.loads((REPORTS / folder / "timing.json").read_text()) for folder in (*MODELS, "evaluate")}
    wall = {folder: timing["wall_s"] for folder, timing in timings.items()}
    texts = {
        "tables.md": tables_markdown(run),
        "times.md": times_markdown(run, wall, str(timings["classify"]["device"]), _query_seconds()),
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


def _query_seconds() -> dict[str, float]:
    """One validation image against the champion's gallery, on the processor: seconds of the three parts."""
    folder, images = load_model_folder(MODEL), Store.open(QUERIES).images[:1]
    query = folder.model.embed_uint8(images)
    gallery = np.asarray(folder.embeddings)
    scores = folder.model.scores(query, gallery)
    parts: dict[str, Callable[[], Any]] = {
        "embed": lambda: folder.model.embed_uint8(images),
        "head": lambda: folder.model.scores(query, gallery),
        "sort": lambda: np.argsort(-scores, kind="stable")[:, :10],
    }
    return {name: median(_seconds(part) for _ in range(REPEATS)) for name, part in parts.items()}


def _seconds(part: Callable[[], Any]) -> float:
    started = time.perf_counter()
    part()
    return time.perf_counter() - started


if __name__ == "__main__":
    inputs = ["outputs/store/store.json", str(QUERIES), str(MODEL), *(f"reports/{f}/metrics.json" for f in MODELS)]
    run_stage("khayyat_tables", main, inputs=inputs)
