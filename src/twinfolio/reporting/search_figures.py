"""Pictures of a search: Optuna's of its trials and keys, and a heat map of a grid over two keys."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from twinfolio.reporting.plots import new_figure, save
from twinfolio.search.study import objectives

if TYPE_CHECKING:
    from optuna.study import Study

    from twinfolio.search.space import Space

_LEAST_FOR_IMPORTANCE = 4
"""Finished trials without which the importance of a key is noise."""
_MOST_DRAWN = 3
"""Objectives that a picture of the Pareto front has room for."""
_KEYS_ACROSS = 4
"""Keys that a slice or a contour has room for."""
_MOST_IN_LEGEND = 10
"""Trials that a picture of curves names one by one."""


def write_figures(study: Study, space: Space, table: pd.DataFrame, folder: Path) -> list[tuple[str, Path]]:
    """Draw what the study has enough trials for.

    Args:
        study: See ``write_search``.
        space: What was searched.
        table: See ``trials_table``.
        folder: For the PNG files.

    Returns:
        (title, file) in order.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from optuna.visualization import matplotlib as draw

    folder.mkdir(parents=True, exist_ok=True)
    names, complete = objectives(study), int((table["state"] == "COMPLETE").sum())
    figures: list[tuple[str, Path]] = []

    def add(title: str, file: str, make: Callable[..., Any], **options: Any) -> None:
        figures.append((title, _draw(partial(make, study, **options), folder / f"{file}.png")))

    if complete and 1 < len(names) <= _MOST_DRAWN:
        add("The Pareto front", "pareto", draw.plot_pareto_front)
    for place, name in enumerate(names):
        of: dict[str, Any] = {"target_name": name}
        if len(names) > 1:
            of["target"] = partial(_value, place)
        end = "" if len(names) == 1 else f"_{place + 1}"
        if complete:
            add(f"{name} of each trial", f"history{end}", draw.plot_optimization_history, **of)
            for at in range(0, len(space.keys), _KEYS_ACROSS):
                part, keys = f"_{at // _KEYS_ACROSS + 1}" if at else "", list(space.keys[at : at + _KEYS_ACROSS])
                add(f"{name} over {', '.join(keys)}", f"slice{end}{part}", draw.plot_slice, params=keys, **of)
        if complete >= _LEAST_FOR_IMPORTANCE and len(space.keys) > 1:
            add(f"Importance of each key for {name} (fANOVA)", f"importance{end}", draw.plot_param_importances, **of)
            keys = _most_important(study, space, of.get("target"))
            add(f"{name} over pairs of the keys that matter", f"contour{end}", draw.plot_contour, params=keys, **of)
    if len(names) == 1:
        add(f"{names[0]} after each epoch", "curves", draw.plot_intermediate_values)
    grid = heat_map(table, space, names[0])
    if grid is not None:
        figures.append((f"Mean {names[0]}", _draw_heat_map(grid, folder / "grid.png")))
    return figures


def _most_important(study: Study, space: Space, target: Callable[[Any], float] | None) -> list[str]:
    """The keys that a contour has room for."""
    if len(space.keys) <= _KEYS_ACROSS:
        return list(space.keys)
    from optuna.importance import get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental
        return list(get_param_importances(study, target=target))[:_KEYS_ACROSS]


def _value(place: int, trial: Any) -> float:
    return float(trial.values[place])


def heat_map(table: pd.DataFrame, space: Space, objective: str) -> pd.DataFrame | None:
    """The mean objective over two keys, every other one (a seed) averaged; None where they are not a grid."""
    keys = [key for key in space.keys if not key.endswith(".seed")]
    if len(keys) != 2:
        return None
    done = table[table["state"] == "COMPLETE"]
    named = pd.DataFrame(
        {key: [str(value) for value in done[key]] for key in keys} | {objective: done[objective].to_numpy()}
    )
    axes = [list(dict.fromkeys(named[key])) for key in keys]  # in the grid's order
    grid = named.pivot_table(index=keys[0], columns=keys[1], values=objective, aggfunc="mean")
    whole = grid.notna().all(axis=None) and grid.size == len(axes[0]) * len(axes[1]) > 1
    return grid.loc[axes[0], axes[1]] if whole else None


def _draw(make: Callable[[], Any], path: Path) -> Path:
    from matplotlib import pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental, and axes without spread
        axes = make()
    figure = np.ravel(axes)[0].figure
    figure.suptitle("")
    for one in np.ravel(axes):
        _tidy(one)
    if np.size(axes) > 1:
        across, down = np.shape(axes)[-1], np.shape(axes)[0] if np.ndim(axes) > 1 else 1
        figure.set_size_inches(2.4 * across + 1.5, 2.4 * down + 1.4)
        for one in np.ravel(axes):  # a dotted key is wider than its panel
            one.set_xlabel(one.get_xlabel().replace(".", "\n"))
            one.tick_params(axis="x", labelrotation=60)
            if np.ndim(axes) == 1:  # a slice's outermost choices stand on its edges
                one.margins(x=0.12)
    # the constrained engine divides by zero in the slice of a single key
    figure.set_layout_engine("constrained" if np.size(axes) > 1 or len(figure.axes) == 1 else "tight")
    save(figure, path)
    plt.close("all")
    return path


def _tidy(axes: Any) -> None:
    """The look of our other figures, and at most three labels on a logarithmic axis: Optuna's overlap."""
    for place in ("left", "center", "right"):
        axes.set_title("", loc=place)  # the caption says it
    if (legend := axes.get_legend()) is not None and len(legend.get_texts()) > _MOST_IN_LEGEND:
        legend.remove()
    axes.set_facecolor("white")
    axes.grid(color="#e3e8ee")
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        if axis.get_scale() == "log":
            places = {float(f"{value:.2g}") for value in np.geomspace(low, high, 5)[1:-1]}
            axis.set_ticks(sorted(place for place in places if low <= place <= high))  # rounded off the axis: none
            axis.set_major_formatter("{x:.2g}")
            axis.set_minor_formatter("")


def _draw_heat_map(grid: pd.DataFrame, path: Path) -> Path:
    figure = new_figure(1.4 * grid.shape[1] + 2, 1.0 * grid.shape[0] + 1)
    axes = figure.add_subplot()
    image = axes.imshow(grid.to_numpy(), cmap="cividis")
    axes.set_xticks(range(grid.shape[1]), [str(value) for value in grid.columns])
    axes.set_yticks(range(grid.shape[0]), [str(value) for value in grid.index])
    axes.set_xlabel(str(grid.columns.name))
    axes.set_ylabel(str(grid.index.name))
    middle = float(np.mean(image.get_clim()))
    for (row, column), value in np.ndenumerate(grid.to_numpy()):
        axes.text(column, row, f"{value:.4f}", ha="center", va="center", color="white" if value < middle else "black")
    save(figure, path)
    return path
