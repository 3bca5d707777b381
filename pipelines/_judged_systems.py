"""The systems that ``judged_tables`` compares: twins, and what they are held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from joblib import cpu_count

from _judged import Training
from _stage import KEYPOINTS, Stage
from twinfolio.assessment.judged import Contender, JudgedBench, tuned_contender, twin_contender
from twinfolio.assessment.systems import colour_system, frozen_trunk, pick_device
from twinfolio.assessment.tuning import Grid, tune
from twinfolio.data.judged_set import JudgedSet

TWINS = Path("outputs/judged_pairs")


def contenders(stage: Stage, judged: JudgedSet) -> list[Contender]:
    """Every system, fitted on train and set on validation."""
    params = stage.params
    device, images = pick_device(params.trainer.accelerator), judged.images.images
    named = [(name, Training.named(name)) for name in params.jimenez_szabo.trainings]
    found = [twin_contender(name, TWINS / name / "model", one.store(judged), one.target, device) for name, one in named]
    settings: dict[str, Any] = params.classical.model_dump(exclude={"systems", "workers"})
    grid = Grid(**settings | {"enlarge": [params.judged.enlarge]})
    bench = JudgedBench(judged, params.classical.workers or cpu_count(), KEYPOINTS)
    found += [tuned_contender(tune(name, grid, bench), bench) for name in dict.fromkeys(params.classical.systems)]
    frozen = frozen_trunk(params.classify.trunk, params.classify.weights, 3, device, params.classify.trunk_options)
    return [*found, Contender(frozen, images), Contender(colour_system(root=True), images)]
