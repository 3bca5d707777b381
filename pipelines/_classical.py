"""Where the classical systems lie, and the systems made of them."""

from __future__ import annotations

from pathlib import Path

from joblib import cpu_count

from _stage import KEYPOINTS
from twinfolio.assessment.classical import load_classical
from twinfolio.assessment.systems import System

CLASSICAL = Path("outputs/classical/systems")


def classical_folders() -> list[str]:
    """Folders of the classical systems, by name; none where a pipeline compares none."""
    return [str(folder) for folder in sorted(CLASSICAL.glob("*"))]


def classical_systems() -> list[System]:
    """The systems of these folders."""
    return [load_classical(Path(folder), workers=cpu_count(), cache=KEYPOINTS) for folder in classical_folders()]
