"""Figures: PNG files whose bytes depend on the numbers alone, in colours that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Okabe and Ito's colours, without the yellow that vanishes on white, and a brown."""

_DASHES = ("-", "--", "-.", ":")
_DPI = 120
_LONGEST_LABEL = 24


def plot_history(path: Path, history: pd.DataFrame) -> None:
    """Curves of a training: losses on the left, validation metrics on the right.

    Args:
        path: The PNG to write.
        history: A row an epoch; column ``epoch`` (or the index) is the x axis; a column with ``loss`` in its name is
            drawn on the left, every other numeric column on the right; empty cells are skipped.
    """
    epochs = history["epoch"] if "epoch" in history else history.index.to_series()
    columns = [c for c in history.columns if c not in ("epoch", "step") and history[c].dtype.kind in "fi"]
    losses = [c for c in columns if "loss" in c.rsplit("/", 1)[-1]]
    metrics = [c for c in columns if c not in losses]
    sides = [(names, title) for names, title in ((losses, "loss"), (metrics, "validation")) if names]
    figure = new_figure(5.2 * max(len(sides), 1), 3.8)
    for place, (names, title) in enumerate(sides, start=1):
        axes = figure.add_subplot(1, len(sides), place)
        for i, name in enumerate(names):
            shown = history[name].notna()
            axes.plot(epochs[shown], history[name][shown], marker="o", markersize=3, label=name, **line(i))
        finish(axes, "epoch", title)
        _whole_numbers(axes)
        axes.legend(fontsize=8, frameon=False)
    save(figure, path)


def interval_panels(
    table: pd.DataFrame, metrics: Mapping[str, str]
) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Panels for ``plot_intervals``.

    Args:
        table: A row a system, its name as index; a metric's value, ``<metric>_low`` and ``<metric>_high`` as columns.
        metrics: Title of a panel -> metric.
    """
    return {
        title: {str(name): (float(row[key]), float(row[f"{key}_low"]), float(row[f"{key}_high"]))
                for name, row in table.iterrows()}
        for title, key in metrics.items()
    }  # fmt: skip


def plot_intervals(
    path: Path, panels: Mapping[str, Mapping[str, tuple[float, float, float]]], highlight: str | None = None
) -> None:
    """Dots with their intervals: a panel a metric, a line a system.

    Args:
        path: The PNG to write.
        panels: Metric -> system -> (value, low, high); all panels show the same systems.
        highlight: The system drawn in the second colour (the champion).
    """
    systems = list(next(iter(panels.values())))
    figure = new_figure(1.6 + 2.7 * len(panels), max(2.6, 1.1 + 0.36 * len(systems)))
    first: Axes | None = None
    for place, (metric, rows) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), place, sharey=first)
        for y, system in enumerate(systems):
            value, low, high = rows[system]
            colour = PALETTE[1] if system == highlight else PALETTE[0]
            axes.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
            axes.plot([value], [y], "o", color=colour, markersize=7)
            axes.annotate(f"{value:.3f}", (value, y), (0, 7), textcoords="offset points", ha="center", fontsize=8)
        axes.set_yticks(range(len(systems)), [_short(system) for system in systems])
        axes.tick_params(labelleft=first is None)
        axes.margins(x=0.12)
        finish(axes, metric, "")
        if first is None:
            first = axes
            axes.set_ylim(len(systems) - 0.4, -0.7)
    save(figure, path)


def plot_roc_and_pr(
    path: Path,
    roc: Mapping[str, tuple[np.ndarray, np.ndarray]],
    pr: Mapping[str, tuple[np.ndarray, np.ndarray]],
    prevalence: float,
) -> None:
    """ROC curves on the left, precision-recall curves on the right, a line a system.

    Args:
        path: The PNG to write.
        roc: System -> (false positive rates, true positive rates).
        pr: System -> (recalls, precisions).
        prevalence: Share of positive pairs: the precision of a scorer that guesses.
    """
    figure = new_figure(10.4, 4.9)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for i, name in enumerate(roc):
        left.plot(*roc[name], label=_short(name), **line(i))
        right.plot(*pr[name], label=_short(name), **line(i))
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1, zorder=0)
    right.axhline(prevalence, color="0.7", linewidth=1, zorder=0)
    finish(left, "false positive rate", "true positive rate")
    finish(right, "recall", "precision")
    for axes in (left, right):
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.02)
    _name_lines(left, len(roc))
    save(figure, path)


def plot_cmc(path: Path, curves: Mapping[str, np.ndarray]) -> None:
    """Cumulative match curves: the share of queries with a right answer among the first k.

    Args:
        path: The PNG to write.
        curves: System -> shares for k = 1, 2, ... .
    """
    figure = new_figure(6.4, 4.6)
    axes = figure.add_subplot()
    for i, (name, shares) in enumerate(curves.items()):
        axes.plot(np.arange(1, len(shares) + 1), shares, label=_short(name), **line(i))
    finish(axes, "rank k", "queries answered within k")
    _whole_numbers(axes)
    axes.set_ylim(top=1.01)
    _name_lines(axes, len(curves))
    save(figure, path)


def plot_confusion(path: Path, counts: np.ndarray, classes: Sequence[str]) -> None:
    """Confusion matrix, each row as shares of its true class; the counts are written into small ones.

    Args:
        path: The PNG to write.
        counts: (n, n) images of true class (row) given to class (column).
        classes: The n names.
    """
    n = len(classes)
    side = float(np.clip(0.30 * n + 2.4, 4.5, 16))
    figure = new_figure(side + 0.8, side)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    step = int(np.ceil(n / 45))
    ticks = range(0, n, step)
    names = [_short(classes[i]) for i in ticks]
    axes.set_xticks(ticks, names, rotation=90, fontsize=7)
    axes.set_yticks(ticks, names, fontsize=7)
    axes.set_xlabel("given class")
    axes.set_ylabel("true class")
    if n <= 30:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(image, ax=axes, fraction=0.045, pad=0.02, label="share of the true class")
    save(figure, path)


def plot_per_class(path: Path, classes: Sequence[str], values: Mapping[str, np.ndarray]) -> None:
    """Values per class, sorted by the first series: the weak classes stand on the left.

    Args:
        path: The PNG to write.
        classes: The n names.
        values: Series -> (n,) values in [0, 1].
    """
    order = np.argsort(next(iter(values.values())), kind="stable")
    figure = new_figure(float(np.clip(0.24 * len(classes) + 2, 5, 18)), 3.9)
    axes = figure.add_subplot()
    for i, (name, series) in enumerate(values.items()):
        axes.plot(np.arange(len(order)), np.asarray(series)[order], "os^D"[i % 4], label=name, color=PALETTE[i],
                  markersize=5, alpha=0.9)  # fmt: skip
    step = int(np.ceil(len(classes) / 75))
    axes.set_xticks(range(0, len(order), step), [_short(classes[i]) for i in order[::step]], rotation=90, fontsize=7)
    finish(axes, "", "")
    axes.set_ylim(-0.03, 1.03)
    axes.legend(fontsize=9, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(values))
    save(figure, path)


def plot_reliability(path: Path, diagrams: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Predicted against observed shares, a panel a set of pairs; a calibrated score lies on the diagonal.

    Args:
        path: The PNG to write.
        diagrams: Title -> (predicted, observed, pairs) of each bin; a dot's area grows with its pairs.
    """
    figure = new_figure(3.6 * len(diagrams), 3.9)
    for place, (title, (predicted, observed, counts)) in enumerate(diagrams.items(), start=1):
        axes = figure.add_subplot(1, len(diagrams), place)
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
        axes.plot(predicted, observed, color=PALETTE[0], linewidth=1.4)
        axes.scatter(predicted, observed, 20 + 100 * counts / counts.max(), color=PALETTE[0], alpha=0.75)
        axes.set_title(title, fontsize=10)
        finish(axes, "predicted", "observed" if place == 1 else "")
        axes.set_xlim(-0.04, 1.04)
        axes.set_ylim(-0.04, 1.04)
        axes.set_aspect("equal")
    save(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """A figure without pyplot: no global state, no window."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.10)
    return figure


def finish(axes: Axes, x: str, y: str) -> None:
    """Labels, a light grid, no box."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _whole_numbers(axes: Axes) -> None:
    """Ticks of epochs and ranks at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _name_lines(axes: Axes, n: int) -> None:
    """The legend of n lines: in the corner, or beside the panels where it would hide lines."""
    if n <= len(PALETTE):
        axes.legend(fontsize=9, frameon=False, loc="lower right")
    else:
        axes.figure.legend(*axes.get_legend_handles_labels(), fontsize=9, frameon=False, loc="outside right upper")


def line(i: int) -> dict[str, Any]:
    """Colour and dash of the i-th line: two signs, so that a grey print is readable too; no two of 32 look alike."""
    dash = _DASHES[(i + i // len(PALETTE)) % len(_DASHES)]
    return {"color": PALETTE[i % len(PALETTE)], "linestyle": dash, "linewidth": 1.8}


def _short(name: str) -> str:
    """A label that leaves room for the figure, and no mathematics in class names with dollars."""
    cut = name if len(name) <= _LONGEST_LABEL else f"{name[:10]}…{name[-12:]}"
    return cut.replace("$", r"\$")


def save(figure: Figure, path: Path) -> None:
    """Write to a temporary name, then rename; no software version inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, format="png", dpi=_DPI, metadata={"Software": None})
    part.replace(path)
