"""One-shot trials as pictures: what was asked, and which of the drawings shown a model finds most similar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.evaluation.arrays import Floats
from twinfolio.evaluation.trials import Trials
from twinfolio.reporting.sheet import SheetCell, write_sheet

EACH = 3
"""Trials shown of those answered wrongly, and of those answered rightly."""
_ANSWERS = 6


def write_trial_sheet(path: Path, images: NDArray[np.uint8], trials: Trials, scores: Floats) -> None:
    """Write some wrong trials and then some right ones, a row each: the drawing asked about, then the highest scored.

    Args:
        path: The PNG to write.
        images: (M, H, W) that the trials number.
        trials: One-shot trials (K = 1).
        scores: (T, N) of each trial's query with each of its classes.
    """
    best = np.argsort(-scores, axis=1, kind="stable")
    right = best[:, 0] == trials.answers
    rows = []
    for row in (*_spread(np.flatnonzero(~right)), *_spread(np.flatnonzero(right))):
        cells = [SheetCell(images[trials.queries[row]][..., None], str(trials.families[row]), None)]
        for place in best[row, :_ANSWERS]:
            shown, score = images[trials.support[row, place, 0]][..., None], scores[row, place]
            cells.append(SheetCell(shown, f"{score:z.2f}", bool(place == trials.answers[row])))
        rows.append(cells)
    write_sheet(path, rows, cell=96)


def _spread(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most ``EACH`` of some rows, evenly spread over them."""
    if len(rows) <= EACH:
        return rows
    places = np.linspace(0, len(rows) - 1, EACH).round().astype(int)
    return np.asarray(rows[places])
