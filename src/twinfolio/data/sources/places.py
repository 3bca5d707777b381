"""Places seen twice: ``query/NNNN`` and ``reference/NNNN`` show the same one (visual place recognition)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from twinfolio.data.sources.folder import list_images
from twinfolio.data.sources.judged import Judged
from twinfolio.errors import DataError

SIDES = ("query", "reference")


def load_places(folder: Path, frames: int | None = None) -> Judged:
    """A judged set from pairs of places.

    Args:
        folder: With ``query/`` and ``reference/``, whose files have the same names.
        frames: None: only the reference of the same name shows the place. Else references are frames of one walk, and
            up to this many frames away they show it too, with a grade that falls evenly to 0 at ``frames + 1``.

    Raises:
        DataError: A side is missing, or a file has no counterpart.
    """
    names = {side: [Path(path).stem for path in list_images(folder / side, classes=False).paths] for side in SIDES}
    for side, other in (SIDES, SIDES[::-1]):
        if not names[side]:
            raise DataError(f"{folder / side}: no image", f"put the {side} images there")
        if alone := sorted(set(names[side]) - set(names[other])):
            raise DataError(f"{folder / side}: {alone[0]} has no counterpart in {other}", "add it, or drop the image")
    paths = {side: [f"{side}/{path}" for path in list_images(folder / side, classes=False).paths] for side in SIDES}
    count = len(paths["query"])
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    if frames is None:
        return Judged(paths["query"], paths["reference"], apart == 0, None)
    grade = np.maximum(1 - apart / (frames + 1), 0).astype(np.float32)
    return Judged(paths["query"], paths["reference"], grade > 0, grade)
