"""Stage ``oneshot --training TRUNK-RECIPE-SEED`` of ``studies/ma_oneshot``: one Siamese model."""

from __future__ import annotations

from dataclasses import replace

from _ma import STORES, Training
from _stage import Stage, run_stage
from _training import recipe, siamese_spec, write_trained


def main(stage: Stage) -> None:
    from twinfolio.training.clock import Clock
    from twinfolio.training.siamese import train_siamese

    training, clock = Training.named(str(stage.item)), Clock()
    own = replace(stage, params=training.params(stage.params), callbacks=(*stage.callbacks, clock))
    refit = stage.params.omniglot.refit and training.recipe == "ours"
    spec = replace(siamese_spec(own, training.distance), size=training.size, refit=refit)
    trained = train_siamese(training.store, spec, recipe(own, own.params.siamese))
    if trained is not None:
        write_trained(stage, trained)
        stage.record(**clock.facts(int(trained.metrics["best_epoch"])))


if __name__ == "__main__":
    run_stage("oneshot", main, inputs=[str(store) for store in STORES.values()], item_option="--training", choices=None)
