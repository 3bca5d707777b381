"""Stage ``classify``: the store -> a classifier, whose trunk the Siamese models start from."""

from __future__ import annotations

from pathlib import Path

from _stage import Stage, run_stage
from _training import recipe, write_trained


def main(stage: Stage) -> None:
    from twinfolio.training.classify import ClassifierSpec, train_classifier

    params = stage.params.classify
    spec = ClassifierSpec(
        trunk=params.trunk,
        trunk_options=params.trunk_options,
        weights=params.weights,
        pooling=params.pooling,
        batch_size=params.batch_size,
        normalise=params.normalise,
        label_smoothing=params.label_smoothing,
        pair_weight=params.pair_weight,
        temperature=params.temperature,
        images_per_class=params.images_per_class,
    )
    trained = train_classifier(Path("outputs/store"), spec, recipe(stage, params))
    if trained is not None:
        write_trained(stage, trained)


if __name__ == "__main__":
    run_stage("classify", main, inputs=["outputs/store"])
