"""Where a match comes from, drawn for the page: one picture an image, its tiles side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinfolio.cli.page import Explain
from twinfolio.reporting.overlays import legend, mark_pairs, overlay, shared_limit
from twinfolio.reporting.page import Picture
from twinfolio.reporting.query_page import Maps
from twinfolio.retrieval.places import Split
from twinfolio.retrieval.scorers import Floats
from twinfolio.serving.encoded import EncodedProgram
from twinfolio.serving.joined import JoinedProgram
from twinfolio.serving.program import Program

_BEFORE = "The score above also counts the neighbours of both images."
_GRADIENT = "Grad-CAM of the score, for the two tiles that match best. Orange speaks for the match, blue against it."


def explainer(program: Program) -> Explain | None:
    """What draws the maps of a model: the exact split of its score, or, where it has none, Grad-CAM (by torch).

    Of a classical system the key points that two images share are drawn, and nothing of a hash. Joined systems have no
    maps.
    """
    if isinstance(program, JoinedProgram):
        return None
    if isinstance(program, EncodedProgram):
        return _points_explainer(program)
    return _gradient_explainer(program) if program.split is None else _exact_explainer(program, program.split)


def _gradient_explainer(program: Program) -> Explain:
    from twinfolio.assessment.attribution import GRADCAM, attribution_maps
    from twinfolio.models.bundle import load_model

    model = load_model(program.folder)

    def explain(query: NDArray[np.uint8], answer: NDArray[np.uint8]) -> Maps:
        scores = model.scores(model.embed_uint8(query), model.embed_uint8(answer))
        x, y = np.unravel_index(int(scores.argmax()), scores.shape)  # a gradient a pair of tiles would take minutes
        maps = attribution_maps(model, GRADCAM, query[x], answer[y])
        limit = shared_limit(*maps)
        return Maps(overlay(query[x], maps[0], limit), overlay(answer[y], maps[1], limit), _GRADIENT)

    return explain


def _exact_explainer(program: Program, split: Split) -> Explain:
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
        if both[0] is None or both[1] is None:
            return None
        drawn = _drawn(split, query, answer, both[0], both[1])
        return drawn if program.recipe.name == "plain" else replace(drawn, legend=f"{drawn.legend} {_BEFORE}")

    return explain


def _points_explainer(program: EncodedProgram) -> Explain:
    def explain(query: NDArray[np.uint8], answer: NDArray[np.uint8]) -> Maps | None:
        pairs = {(x, y): program.match_points(*tiles) for (x, y), tiles in _pairs(query, answer).items()}
        found = {places: points for places, points in pairs.items() if points is not None}
        if not found:
            return None
        (x, y), points = max(found.items(), key=lambda one: len(one[1][0]))  # of tiled pages the best pair of tiles
        order = points[0][:, 0] / query.shape[2]
        said = f"{len(order)} key points match; a colour marks a pair, and follows the query from left to right."
        return Maps(mark_pairs(query[x], points[0], order), mark_pairs(answer[y], points[1], order), said)

    return explain


def _pairs(query: NDArray[np.uint8], answer: NDArray[np.uint8]) -> dict[tuple[int, int], tuple[Picture, Picture]]:
    """All pairs of tiles."""
    return {(x, y): (query[x], answer[y]) for x in range(len(query)) for y in range(len(answer))}


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
