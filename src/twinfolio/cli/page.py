"""From results to the HTML page: pictures are opened here, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.cli.results import Result
from twinfolio.data.images import UnreadableImageError, decode
from twinfolio.reporting.page import Picture
from twinfolio.reporting.query_page import Found, Maps, Match, write_query_page
from twinfolio.serving.answers import Searcher
from twinfolio.serving.certainty import Certainty
from twinfolio.serving.program import Program
from twinfolio.serving.reading import read_rows

Explain = Callable[[NDArray[np.uint8], NDArray[np.uint8]], Maps | None]
"""From the tile rows (T, H, W, C) of a query and of its answer to the maps of their score; None without."""
_TARGET = 640


def write_page(
    path: Path, results: Sequence[Result], searcher: Searcher, program: Program, explain: Explain | None = None
) -> None:
    """Write the page of all results.

    Args:
        path: The HTML file.
        results: Of the queries.
        searcher: What was asked.
        program: The model.
        explain: Draws where a match comes from; None: the page goes without.
    """
    origin = searcher.index.provenance
    subtitle = f"{searcher.index.name}: {len(searcher.ids)} images; model {origin.fingerprint[:12]}"
    if searcher.certainty.pairs is None:
        subtitle += "; scores are not calibrated"
    else:
        subtitle += ". A bar is the probability that both images are of one class"
    found = (_found(result, searcher.certainty, program, explain) for result in results)
    write_query_page(path, "Most similar images", subtitle, [str(one.query) for one in results], found)


def _found(result: Result, certainty: Certainty, program: Program, explain: Explain | None) -> Found:
    rows = None if explain is None else read_rows(result.query, program.rendering)
    matches = []
    for answer, file in zip(result.reply.answers, result.files, strict=True):
        picture = open_picture(file)
        maps = None
        if explain is not None and rows is not None and picture is not None and file is not None:
            maps = explain(rows, read_rows(file, program.rendering))
        matches.append(
            Match(answer.image_id, answer.label, answer.score, answer.probability, str(file or ""), picture, maps)
        )
    reply = result.reply
    verdict, promise = result.verdict(certainty), result.promise(certainty)
    own = open_picture(result.query)
    return Found(str(result.query), own, reply.known, verdict, reply.classes or (), promise, matches)


def open_picture(file: Path | None) -> Picture | None:
    """The image for the page; None where its file is gone or damaged."""
    try:
        return None if file is None else decode(file, _TARGET)
    except UnreadableImageError:
        return None
