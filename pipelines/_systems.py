"""What ``compare_distances`` and ``evaluate`` share: where the models lie, and the systems made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from joblib import cpu_count

from _stage import KEYPOINTS, Stage
from twinfolio.assessment.champion import EMBEDDINGS, Champion
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.scene import Scene, open_scene
from twinfolio.assessment.system_folder import load_system
from twinfolio.assessment.systems import REFIT, System, comparable_systems, pick_device
from twinfolio.data.store import read_info

STORE, COMPARED, FINAL = Path("outputs/store"), Path("outputs/compare_distances"), Path("outputs/refit")
CALIBRATED = Path("outputs/calibrate/search")
CLASSIFIER, SCRATCH = Path("outputs/classify/model"), Path("outputs/train_scratch/model")
SIAMESE = {name: Path("outputs/train_siamese", name, "model") for name in ("l1", "l2", "cosine")}
TRAININGS = {"classify": Path("reports/classify/metrics.json")} | {
    f"train_siamese {name}": Path("reports/train_siamese", name, "metrics.json") for name in SIAMESE
}
"""Facts of the trainings that the comparison is about."""
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


def open_system(stage: Stage, folder: Path, name: str) -> System:
    """A system of any kind from its folder."""
    device = pick_device(stage.params.trainer.accelerator)
    return load_system(folder, name, device, workers=cpu_count(), cache=KEYPOINTS)


def final_name(stage: Stage, champion: Champion) -> str:
    """Name of the champion on test: ``refit`` where it was trained once more."""
    return REFIT if stage.params.train.refit and champion.retrainable else champion.system


def test_scene(stage: Stage, systems: Sequence[System], champion: str) -> Scene:
    """Test and what it is held against; the champion's gallery is embedded by the model that ``refit`` left."""
    embeddings = {one.name: COMPARED / EMBEDDINGS / f"{one.name}.npz" for one in systems}
    embeddings[champion] = FINAL / "embeddings.npz"
    params = stage.params.evaluate
    resampling = Resampling(params.bootstrap, params.seed, params.confidence)
    return open_scene(STORE, embeddings, params.positives_per_query, params.min_positives, resampling)


def tested_systems(stage: Stage, others: Sequence[System], best: str) -> list[System]:
    """All systems and, where it is none of them (trained once more, or joined), the champion before them.

    Args:
        stage: The stage.
        others: The classical systems.
        best: The champion's name, see ``final_name``.
    """
    systems = [*load_systems(stage), *others]
    known = best in [system.name for system in systems]
    return systems if known else [open_system(stage, FINAL / "model", best), *systems]
