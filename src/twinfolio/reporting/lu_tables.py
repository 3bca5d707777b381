"""The report of ``studies/lu_grid``: every grid beside the paper, which cells differ, and the digits in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.reporting.lu import beside_paper, cell_table, differences
from twinfolio.reporting.lu_figures import embedding_figure
from twinfolio.reporting.report import Chapter, write_report
from twinfolio.reporting.tables import markdown_table, replacing, write_table

_OF_CLASSES = ("accuracy",)
_OF_EMBEDDINGS = ("nearest_accuracy", "centroid_accuracy", "pair_accuracy")
_MEASURES = {
    "accuracy": "Ten-way accuracy of the class layer",
    "nearest_accuracy": "1-NN accuracy among the train embeddings",
    "centroid_accuracy": "Nearest-class-mean accuracy",
    "pair_accuracy": "Pair accuracy at a threshold chosen on validation",
}
_HEADS = {
    "cls10": "Ten classes (cls10)",
    "fc2": "Two dimensions right after the blocks (fc2)",
    "full": "Two dimensions behind 1,024 and 1,024 (full)",
    "mlp": "No convolution: 1,024, 1,024, 2 (mlp)",
}
_INKS = {"grey": "grey ink", "otsu": "binarised ink (Otsu)"}


def write_tables(grids: Mapping[str, Path], source: str, labels: np.ndarray, curves: Path, report_dir: Path) -> None:
    """Write ``tables.md``, ``report.html``, ``embeddings.png``, ``cells.csv`` (a row a cell) and ``differences.csv``.

    Args:
        grids: ``head-ink`` -> folder with ``cells.csv`` and ``correct.npz``.
        source: Which digits.
        labels: (N,) of the test images.
        curves: The figure of the loss curves.
        report_dir: Where they go.
    """
    chapters, tables, pairs, flat = [], [], [], {}
    for name, folder in grids.items():
        head, _, ink = name.partition("-")
        cells = pd.read_csv(folder / "cells.csv")
        with np.load(folder / "correct.npz", allow_pickle=False) as file:
            between = differences(cells, file["correct"])
            if "embeddings" in file:
                flat[name] = file["embeddings"]
        table = cell_table(cells)
        tables.append(table.assign(grid=name))
        pairs.append(between.assign(grid=name))
        measures = _OF_CLASSES if head == "cls10" else _OF_EMBEDDINGS
        shown = [(_MEASURES[one], beside_paper(table, f"test/digits/{one}")) for one in measures]
        chapters.append(Chapter(f"{_HEADS[head]}, {_INKS[ink]}", [verdict(between)], tables=shown))
    write_table(report_dir / "cells.csv", pd.concat(tables, ignore_index=True))
    write_table(report_dir / "differences.csv", pd.concat(pairs, ignore_index=True))
    with replacing(report_dir / "tables.md") as temporary:
        temporary.write_text(_markdown(chapters), encoding="utf-8")
    figures = [("Contrastive loss", curves)]
    if flat:
        embedding_figure(report_dir / "embeddings.png", flat, labels)
        figures.append(("Test digits, the best trial of each grid on validation", report_dir / "embeddings.png"))
    pictures = Chapter("Loss and embedding", figures=figures)
    subtitle = f"Digits: {source}, {len(labels):,} test images; nothing was chosen on them."
    write_report(report_dir / "report.html", "Lu's grid beside ours", subtitle, [], [*chapters, pictures])


def verdict(between: pd.DataFrame) -> str:
    """Which cells really differ, in a few sentences: over the test images, and whatever seeds they were trained with.

    Args:
        between: See ``differences``.
    """
    if between.empty:
        return "One cell: nothing to compare."
    images, seeds = between["p_holm"] < 0.05, between["p_seeds"] < 0.05
    really = images & seeds
    few, word = (really, "which do") if really.sum() <= len(really) / 2 else (~really, "the others")
    named = [f"{a} and {b} ({100 * gap:+.2f})" for a, b, gap in between.loc[few, ["a", "b", "difference"]].to_numpy()]
    return (
        f"{really.sum()} of {len(between)} pairs of cells (depth x kernels) really differ in the first measure: over "
        "images (paired permutation, seeds averaged, Holm at 5 %) and over the seeds (paired t, 5 %, no correction)"
        f"{f'; {word}, with the difference in points: ' if named else ''}{'; '.join(named)}. "
        f"{(images & ~seeds).sum()} differ over the images alone: other seeds might turn them."
    )


def _markdown(chapters: list[Chapter]) -> str:
    parts = []
    for chapter in chapters:
        parts += [f"### {chapter.heading}", *chapter.paragraphs]
        parts += [f"{caption}, percent:\n\n{markdown_table(table)}" for caption, table in chapter.tables]
    return "\n\n".join(parts) + "\n"
