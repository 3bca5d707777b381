"""What the three training stages share: params to a recipe, and a trained model to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinfolio.params.training import Optimisation, PairTraining, TrainerParams

if TYPE_CHECKING:
    from pytorch_lightning import Callback

    from _stage import Stage
    from twinfolio.training.jobs import Recipe, Trained
    from twinfolio.training.pairs import TrainedTwin
    from twinfolio.training.siamese import SiameseSpec

SHARE_OF_MINUTES = {"classify": 0.55, "train_siamese": 0.15}
"""Share of ``train.minutes`` of each training. The small net has a budget of its own; a refit repeats another's."""


def recipe(stage: Stage, params: Optimisation) -> Recipe:
    """How a section's model is trained in a stage, on the machine that section ``trainer`` describes."""
    own = recipe_of(params, stage.params.trainer, stage.work_dir)
    budget = replace(own.budget, minutes=stage.params.train.minutes * SHARE_OF_MINUTES.get(stage.name, 1.0))
    return replace(own, budget=budget, logger=stage.lightning_logger(), callbacks=(*stage.callbacks, *own.callbacks))


def recipe_of(params: Optimisation, trainer: TrainerParams, work_dir: Path) -> Recipe:
    """How a section's model is trained, outside any stage."""
    from twinfolio.data.batch_warp import Warp
    from twinfolio.data.datamodule import Augmentation
    from twinfolio.models.optimisation import ConstantAdam, KochSchedule, Schedule, SteadySchedule
    from twinfolio.training.jobs import Recipe
    from twinfolio.training.trainer import Budget, Hardware

    papers: dict[str, type[Schedule]] = {"adam": ConstantAdam, "koch": KochSchedule}
    if params.schedule == "adamw":
        kind = SteadySchedule if params.epochs is None else Schedule
        schedule = kind(params.lr, params.trunk_lr, params.weight_decay, params.warmup)
    else:
        schedule = papers[params.schedule](params.lr, params.trunk_lr)
    augmentation, validate_every = params.augmentation.model_dump(), getattr(params, "validate_every", 1)
    return Recipe(
        seed=params.seed,
        schedule=schedule,
        augmentation=Augmentation(**augmentation | {"warp": Warp(**augmentation["warp"])}),
        budget=Budget(params.epochs, params.patience, 1 if params.epochs is None else validate_every),
        hardware=Hardware(**trainer.model_dump()),
        work_dir=work_dir,
        callbacks=weight_averaging(getattr(params, "ema", None)),
    )


def weight_averaging(decay: float | None) -> tuple[Callback, ...]:
    """Lightning's moving average of the weights, where it is asked for."""
    if decay is None:
        return ()
    from pytorch_lightning.callbacks import EMAWeightAveraging

    return (EMAWeightAveraging(decay=decay),)


def siamese_spec(stage: Stage, distance: str) -> SiameseSpec:
    """What section ``siamese`` says of one distance's model."""
    from twinfolio.training.siamese import SiameseSpec

    params = stage.params.siamese
    start = Path("outputs/classify/model") if params.start == "classifier" else None
    return SiameseSpec(distance=distance, start=start, **pair_settings(params))


def pair_settings(params: PairTraining) -> dict[str, Any]:
    """The arguments of ``SiameseSpec`` that sections ``siamese`` and ``scratch`` have in common."""
    from twinfolio.models.siamese import PairObjective

    objective = PairObjective(params.loss, params.pairs, params.temperature, params.margin, params.class_weight)
    names = ("trunk", "trunk_options", "weights", "head", "pooling", "embedding", "hidden", "activation", "normalise")
    batches = {
        "classes_per_batch": params.classes_per_batch,
        "images_per_class": params.images_per_class,
        "steps_per_epoch": params.steps_per_epoch,
        "within": params.within,
        "gallery": params.validation_gallery,
        "validation": params.validation,
        "trials": params.validation_trials,
        "ways": params.validation_ways,
    }
    return {name: getattr(params, name) for name in names} | batches | {"objective": objective}


def write_trained(stage: Stage, trained: Trained) -> None:
    """Write the model folder, the metrics and the history, as numbers and as a figure."""
    from twinfolio.models.bundle import save_model

    save_model(
        stage.output_dir / "model",
        embedder=trained.embedder,
        head=trained.head,
        class_layer=trained.class_layer,
        config=trained.config,
    )
    write_course(stage, trained)


def write_course(stage: Stage, trained: Trained | TrainedTwin) -> None:
    """Write the metrics and the history, as numbers and as a figure."""
    from twinfolio.reporting.plots import plot_history
    from twinfolio.reporting.tables import write_metrics, write_table

    write_metrics(stage.report_dir / "metrics.json", trained.metrics)
    write_table(stage.report_dir / "history.csv", trained.history)
    plot_history(stage.report_dir / "history.png", trained.history)
