"""Which kind of folder is opened: a trained model's or a classical system's."""

from __future__ import annotations

from pathlib import Path

from twinfolio.descriptors.encoder import JSON
from twinfolio.serving.encoded import load_encoded
from twinfolio.serving.program import Program, load_trained


def load_program(folder: Path) -> Program:
    """Open a model folder, or a classical system's.

    Raises:
        ModelError: It is neither, or a file is missing or damaged.
    """
    return load_encoded(folder) if (folder / JSON).is_file() else load_trained(folder)
