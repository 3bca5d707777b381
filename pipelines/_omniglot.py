"""What the stage ``omniglot`` reads: drawings of both sides, and the official runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from _stage import ROOT
from twinfolio.data.sources.omniglot import SMALL, Drawings, Runs, download, is_complete, load_drawings, load_runs
from twinfolio.errors import ParamsError

if TYPE_CHECKING:
    from twinfolio.params.oneshot import OmniglotParams

logger = logging.getLogger("twinfolio.omniglot")


def read(params: OmniglotParams) -> tuple[Mapping[str, Drawings], Runs, bool]:
    """Both sides, the runs, and whether these are all of Omniglot's characters."""
    if params.source == "drawn":
        from twinfolio.sample.characters import drawn_alphabets, drawn_runs

        if params.background != "all":
            raise ParamsError(
                f"omniglot.background = {params.background}: made-up alphabets have no such set", "use all"
            )
        drawn = params.drawn
        sides = drawn_alphabets(drawn.background, drawn.evaluation, drawn.characters, params.seed)
        return sides, drawn_runs(sides["evaluation"], params.seed), False
    if params.runs is None:
        raise ParamsError("omniglot.runs = null: the official runs are a file of their own", "name all_runs.zip")
    named = download(Path(".twinfolio/datasets")) if params.source == "omniglot" else ROOT / params.source
    found, left_out = load_drawings(named)
    for path, reason in left_out:
        logger.warning("%s: %s, left out", path, reason)
    complete = is_complete(found)
    if not complete:
        logger.warning("%s holds other characters than Omniglot: its numbers compare with no published ones", named)
    if params.background != "all":
        found["background"] = found["background"].of(SMALL[params.background])
    return found, load_runs(ROOT / params.runs), complete
