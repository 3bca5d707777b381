"""Where a match comes from, drawn for the page: one picture an image, its tiles side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinfolio.cli.page import Explain
from twinfolio.reporting.overlays import legend, overlay, shared_limit
from twinfolio.reporting.query_page import Maps, Picture
from twinfolio.retrieval.places import Split
from twinfolio.retrieval.scorers import Floats
from twinfolio.serving.program import Program


def explainer(program: Program) -> Explain | None:
    """What draws the maps of a model; None where its score does not split into places."""
    split = program.split
    if split is None:
        return None
    seen: dict[bytes, Floats | None] = {}

    def places(rows: NDArray[np.uint8]) -> Floats | None:
        key = rows.tobytes()
        if key not in seen:
            if len(seen) > 1:  # the query stays while its answers come and go
                seen.pop(list(seen)[1])
            seen[key] = program.embed_places(rows)
        return seen[key]

    def explain(query: NDArray[np.uint8], answer: NDArray[np.uint8]) -> Maps | None:
        both = places(query), places(answer)
        return None if both[0] is None or both[1] is None else _drawn(split, query, answer, both[0], both[1])

    return explain


def _drawn(
    split: Split, query: NDArray[np.uint8], answer: NDArray[np.uint8], x_places: Floats, y_places: Floats
) -> Maps:
    """The maps of all pairs of tiles, each tile with its mean over the other image's tiles."""
    pairs = [[split.maps(x, y) for y in y_places] for x in x_places]
    x_maps = [np.mean([x for x, _ in row], axis=0) for row in pairs]
    y_maps = [np.mean([row[tile][1] for row in pairs], axis=0) for tile in range(len(y_places))]
    limit = shared_limit(*x_maps, *y_maps)
    total = float(np.mean([split.total(*pair) for row in pairs for pair in row]))
    said = legend(split.measure, total, each=split.each)
    return Maps(_side_by_side(query, x_maps, limit), _side_by_side(answer, y_maps, limit), said)


def _side_by_side(rows: NDArray[np.uint8], maps: list[Floats], limit: float) -> Picture:
    return np.concatenate([overlay(row, values, limit) for row, values in zip(rows, maps, strict=True)], axis=1)
