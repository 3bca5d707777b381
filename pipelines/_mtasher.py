"""What the two stages of ``studies/mtasher_msad`` share: which systems are compared, and where things lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from _classical import classical_systems
from _stage import Stage
from twinfolio.assessment.rivals import Planting
from twinfolio.assessment.systems import System, colour_system, frozen_trunk, pick_device, trained_system
from twinfolio.data.store import read_info
from twinfolio.errors import ParamsError

STORE, CLASSIFIER, VALIDATED = Path("outputs/store"), Path("outputs/classify/model"), Path("outputs/mtasher")
CHOICES, EMBEDDINGS = VALIDATED / "choices.json", VALIDATED / "embeddings"
FROZEN, TUNED = "cnn_frozen", "cnn_finetuned"


def planting(stage: Stage) -> Planting:
    """How copies are planted."""
    return Planting(stage.params.mtasher_msad.originals, stage.params.mtasher_msad.seed)


def classical_names(stage: Stage) -> list[str]:
    """The classical systems, in the order of the params.

    Raises:
        ParamsError: There are none.
    """
    names: list[str] = list(dict.fromkeys(stage.params.classical.systems))
    if not names:
        raise ParamsError("params.yaml: classical.systems = []", "name what the nets are compared with, such as phash")
    return names


def load_systems(stage: Stage) -> list[System]:
    """The nets, the classical systems and the colour histogram, in the order of the tables."""
    names, classify = classical_names(stage), stage.params.classify
    channels, device = read_info(STORE).channels, pick_device(stage.params.trainer.accelerator)
    frozen = frozen_trunk(classify.trunk, classify.weights, channels, device, classify.trunk_options)
    of_name = {system.name: system for system in classical_systems()}
    classical = [of_name[name] for name in names]
    return [replace(frozen, name=FROZEN), trained_system(TUNED, CLASSIFIER, device), *classical, colour_system()]
