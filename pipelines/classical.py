"""Stage ``classical``: train and validation of the store -> bags of words, VLAD and hashes, set by validation."""

from __future__ import annotations

from pathlib import Path

from joblib import cpu_count

from _classical import CLASSICAL
from _stage import KEYPOINTS, Stage, run_stage
from twinfolio.assessment.classical import save_classical
from twinfolio.assessment.embeddings import GALLERY
from twinfolio.assessment.gallery import gallery_table
from twinfolio.assessment.tuning import Grid, Tuned, open_workbench, tune
from twinfolio.data.manifest import read_manifest
from twinfolio.data.store import read_info
from twinfolio.reporting.classical import write_tuning

MANIFEST, STORE = Path("outputs/split/manifest.csv"), Path("outputs/store")


def main(stage: Stage) -> None:
    params = stage.params.classical
    grid = Grid(**params.model_dump(exclude={"systems", "workers"}))
    bench = open_workbench(STORE, params.workers or cpu_count(), KEYPOINTS)
    info = read_info(STORE)
    gallery = gallery_table(bench.parts, info.classes, read_manifest(MANIFEST))
    CLASSICAL.mkdir(parents=True, exist_ok=True)
    tuned: dict[str, Tuned] = {}
    for name in dict.fromkeys(params.systems):
        tuned[name] = tune(name, grid, bench)
        best = tuned[name].best
        vectors = [best.vectors[split] for split in GALLERY]
        save_classical(CLASSICAL / name, best.encoder, best.recipe, info, vectors, gallery)
    write_tuning(tuned, stage.report_dir)


if __name__ == "__main__":
    run_stage(
        "classical", main, inputs=[str(MANIFEST), *(f"{STORE}/{part}" for part in ("store.json", "train", "val"))]
    )
