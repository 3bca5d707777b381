"""What ``compare_distances`` and ``evaluate`` share: where the models lie, and the systems made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from _stage import Stage
from twinfolio.assessment.champion import EMBEDDINGS
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.scene import Scene, open_scene
from twinfolio.assessment.systems import REFIT, System, comparable_systems, pick_device, trained_system
from twinfolio.data.store import read_info

STORE, COMPARED, FINAL = Path("outputs/store"), Path("outputs/compare_distances"), Path("outputs/refit")
CALIBRATED = Path("outputs/calibrate/search")
CLASSIFIER, SCRATCH = Path("outputs/classify/model"), Path("outputs/train_scratch/model")
SIAMESE = {name: Path("outputs/train_siamese", name, "model") for name in ("l1", "l2", "cosine")}
MODELS = [str(folder) for folder in (CLASSIFIER, SCRATCH, *SIAMESE.values())]


def load_systems(stage: Stage) -> list[System]:
    """All systems, on the one device that final numbers are computed on."""
    return comparable_systems(
        siamese=SIAMESE,
        scratch=SCRATCH,
        classifier=CLASSIFIER,
        trunk=stage.params.classify.trunk,
        options=stage.params.classify.trunk_options,
        weights=stage.params.classify.weights,
        channels=read_info(STORE).channels,
        device=pick_device(stage.params.trainer.accelerator),
    )


def test_scene(stage: Stage, systems: Sequence[System], champion: str) -> Scene:
    """Test and what it is held against; the champion's gallery is embedded by the model that ``refit`` left."""
    embeddings = {one.name: COMPARED / EMBEDDINGS / f"{one.name}.npz" for one in systems}
    embeddings[champion] = FINAL / "embeddings.npz"
    params = stage.params.evaluate
    resampling = Resampling(params.bootstrap, params.seed, params.confidence)
    return open_scene(STORE, embeddings, params.positives_per_query, params.min_positives, resampling)


def tested_systems(stage: Stage) -> list[System]:
    """All systems and, under ``train.refit``, before them the champion trained once more."""
    systems = load_systems(stage)
    if not stage.params.train.refit:
        return systems
    return [trained_system(REFIT, FINAL / "model", pick_device(stage.params.trainer.accelerator)), *systems]
