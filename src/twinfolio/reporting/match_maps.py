"""Why two images match, for the report: maps of some pairs side by side, and how faithful each kind of map is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinfolio.reporting.overlays import AGAINST, FOR, overlay, shared_limit
from twinfolio.reporting.plots import PALETTE, finish, line, new_figure, save
from twinfolio.reporting.report import Chapter, brief
from twinfolio.reporting.tables import write_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

    from twinfolio.assessment.deletion import Faithfulness
    from twinfolio.assessment.match_pairs import MappedPair

_EXPLAINED = (
    "Orange places speak for the match, blue ones against it. The exact split takes no gradient: its places sum to the "
    "similarity that the score is made of. Grad-CAM and integrated gradients follow the gradient of the head's logit.",
    "How far may such a picture be believed? Places of the query are wiped out (blurred) in falling order of their "
    "map, and the pair is scored again: the score must fall early (small area under deletion), and come back early "
    "where the places are put back in that order (large area under insertion). Random places, and the places with most "
    "ink, know nothing of the model: a map that does not beat them tells no more than they do.",
)


def match_chapter(report_dir: Path, rows: Sequence[MappedPair], found: Faithfulness, table: pd.DataFrame) -> Chapter:
    """Write ``faithfulness.csv`` and both figures, and say in a chapter what they show.

    Args:
        report_dir: The figures go to its ``figures``.
        rows: Pairs to draw.
        found: Result of ``deletion_test``.
        table: Result of ``faithfulness_table``.
    """
    maps, curves = (report_dir / "figures" / f"{name}.png" for name in ("match_maps", "faithfulness"))
    write_table(report_dir / "faithfulness.csv", table)
    plot_match_maps(maps, rows)
    plot_faithfulness(curves, found)
    notes = [f"{found.left_out} pairs say nothing, because their score hardly falls when the query is wiped out."]
    return Chapter(
        heading="Why these two match",
        paragraphs=_EXPLAINED,
        notes=notes if found.left_out else (),
        tables=[(f"Areas under the curves of {len(found.groups)} queries, with their gain over random places",
                 brief(table))],
        figures=[("Queries, their first answers, and both under each kind of map", maps),
                 ("Deletion and insertion, mean over queries", curves)],
    )  # fmt: skip


def plot_match_maps(path: Path, rows: Sequence[MappedPair]) -> None:
    """Pairs below each other: the two images, then both with each kind of map.

    Colours are scaled within a pair and a kind, because kinds have different units.

    Args:
        path: The PNG to write.
        rows: All with the same kinds.
    """
    columns = 2 * (1 + len(rows[0].maps))
    figure = new_figure(1.55 * columns, 1.75 * len(rows) + 0.5)
    grid = np.atleast_2d(figure.subplots(len(rows), columns, squeeze=False))
    for axes, row in zip(grid, rows, strict=True):
        sides = (row.pair.query, row.pair.answer)
        _pictures(axes[:2], sides, ("query", "first answer"), row.pair.right)
        for place, (kind, maps) in enumerate(row.maps.items(), start=1):
            limit = shared_limit(*maps)
            painted = [overlay(image, values, limit) for image, values in zip(sides, maps, strict=True)]
            _pictures(axes[2 * place : 2 * place + 2], painted, (kind, ""), row.pair.right)
    figure.legend(handles=_colours(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    save(figure, path)


def plot_faithfulness(path: Path, found: Faithfulness) -> None:
    """Mean curves of the deletion test on the left, of the insertion test on the right, a line a kind.

    Args:
        path: The PNG to write.
        found: The curves.
    """
    figure = new_figure(10.4, 4.4)
    left, right = figure.subplots(1, 2)
    for i, kind in enumerate(found.deletion):
        left.plot(found.shares, found.deletion[kind].mean(0), label=kind, **line(i))
        right.plot(found.shares, found.insertion[kind].mean(0), label=kind, **line(i))
    finish(left, "share of the query wiped out, highest places first", "score left (lower is better)")
    finish(right, "share of the query put back, highest places first", "score won back (higher is better)")
    left.legend(fontsize=9, frameon=False)
    save(figure, path)


def _colours() -> list[Patch]:
    from matplotlib.patches import Patch

    meanings = ((FOR, "speaks for the match"), (AGAINST, "against it"))
    return [Patch(color=f"#{bytes(colour).hex()}", label=text) for colour, text in meanings]


def _pictures(axes: Sequence[Axes], images: Sequence[np.ndarray], titles: Sequence[str], right: bool) -> None:
    """Two images; a wrong answer's axes are framed in the colour of wrong answers."""
    for side, (place, image, title) in enumerate(zip(axes, images, titles, strict=True)):
        place.imshow(image if image.shape[2] == 3 else np.repeat(image, 3, axis=2), interpolation="lanczos")
        place.set_xticks([])
        place.set_yticks([])
        place.set_title(title, fontsize=9, loc="left")
        place.spines[:].set_visible(side == 1)
        place.spines[:].set(color=PALETTE[2] if right else PALETTE[1], linewidth=2)
