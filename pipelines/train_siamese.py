"""Stage ``train_siamese --distance l1|l2|cosine``: the store and the classifier's trunk -> a Siamese model."""

from __future__ import annotations

from pathlib import Path

from _stage import Stage, run_stage
from _training import pair_settings, recipe, write_trained


def main(stage: Stage) -> None:
    from twinfolio.training.siamese import SiameseSpec, train_siamese

    params = stage.params.siamese
    start = Path("outputs/classify/model") if params.start == "classifier" else None
    spec = SiameseSpec(distance=str(stage.item), start=start, **pair_settings(params))
    trained = train_siamese(Path("outputs/store"), spec, recipe(stage, params))
    if trained is not None:
        write_trained(stage, trained)


if __name__ == "__main__":
    run_stage("train_siamese", main, inputs=["outputs/store", "outputs/classify/model"], item_option="--distance")
