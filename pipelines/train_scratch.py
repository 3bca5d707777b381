"""Stage ``train_scratch``: the store -> the paper's small Siamese net from random weights (Khayyat et al., Table 1)."""

from __future__ import annotations

from pathlib import Path

from _stage import Stage, run_stage
from _training import pair_settings, recipe, write_trained


def main(stage: Stage) -> None:
    from twinfolio.training.siamese import SiameseSpec, train_siamese

    params = stage.params.scratch
    spec = SiameseSpec(distance=params.distance, size=params.size, **pair_settings(params))
    trained = train_siamese(Path("outputs/store"), spec, recipe(stage, params))
    if trained is not None:
        write_trained(stage, trained)


if __name__ == "__main__":
    run_stage("train_scratch", main, inputs=["outputs/store"])
