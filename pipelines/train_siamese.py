"""Stage ``train_siamese --distance l1|l2|cosine``: the store and the classifier's trunk -> a Siamese model."""

from __future__ import annotations

from pathlib import Path

from _stage import Stage, run_stage
from _training import recipe, siamese_spec, write_trained


def main(stage: Stage) -> None:
    from twinfolio.training.siamese import train_siamese

    spec = siamese_spec(stage, str(stage.item))
    trained = train_siamese(Path("outputs/store"), spec, recipe(stage, stage.params.siamese))
    if trained is not None:
        write_trained(stage, trained)


if __name__ == "__main__":
    run_stage("train_siamese", main, inputs=["outputs/store", "outputs/classify/model"], item_option="--distance")
