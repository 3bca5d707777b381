"""Opening a folder of any kind: a trained model's, a classical system's or that of joined systems."""

from __future__ import annotations

from pathlib import Path

from twinfolio.descriptors import encoder
from twinfolio.retrieval import joined
from twinfolio.serving.encoded import load_encoded
from twinfolio.serving.joined import load_joined
from twinfolio.serving.program import Program, load_trained


def load_program(folder: Path) -> Program:
    """Open a model folder, or a classical system's.

    Raises:
        ModelError: It is neither, or a file is missing or damaged.
    """
    if (folder / joined.JSON).is_file():
        return load_joined(folder)
    return load_encoded(folder) if (folder / encoder.JSON).is_file() else load_trained(folder)
