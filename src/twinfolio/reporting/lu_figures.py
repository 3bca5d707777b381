"""Pictures of Lu's study: loss curves, and test digits in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twinfolio.reporting.plots import finish, line, new_figure, save

_WINDOW = 25
"""Iterations that a curve is averaged over."""


def curves_figure(path: Path, curves: Mapping[tuple[str, int], np.ndarray]) -> None:
    """The loss of each iteration, a panel a net, a line a run; running means.

    Args:
        path: The PNG.
        curves: (net, iterations of the run) -> (iterations,).
    """
    nets = list(dict.fromkeys(net for net, _ in curves))
    figure = new_figure(5.2 * len(nets), 3.8)
    for place, net in enumerate(nets, start=1):
        axes = figure.add_subplot(1, len(nets), place)
        for number, ((_, iterations), losses) in enumerate((key, of) for key, of in curves.items() if key[0] == net):
            window = min(_WINDOW, len(losses))
            smooth = np.convolve(losses, np.full(window, 1 / window), mode="valid")
            label = f"{iterations} iterations: ends at {smooth[-1]:.4f}"
            axes.plot(np.arange(window, len(losses) + 1), smooth, label=label, **line(number))
        axes.set_title(net, fontsize=10)
        axes.set_yscale("log")
        axes.legend(fontsize=8, frameon=False)
        finish(axes, "iteration", f"contrastive loss (mean of {_WINDOW})")
    save(figure, path)


def embedding_figure(path: Path, embeddings: Mapping[str, np.ndarray], labels: np.ndarray) -> None:
    """Test images in the plane, a panel a net, a colour a digit.

    Args:
        path: The PNG.
        embeddings: Title -> (N, 2).
        labels: (N,).
    """
    across = min(3, len(embeddings))
    down = -(-len(embeddings) // across)
    figure = new_figure(4.6 * across + 0.6, 4.2 * down)
    panels = []
    for place, (title, points) in enumerate(embeddings.items(), start=1):
        axes = figure.add_subplot(down, across, place)
        shown = axes.scatter(points[:, 0], points[:, 1], c=labels, cmap="tab10", vmin=-0.5, vmax=9.5, s=3, linewidths=0)
        for digit in np.unique(labels):
            x, y = np.median(points[labels == digit], axis=0)
            axes.text(x, y, str(digit), weight="bold", ha="center", va="center",
                      bbox={"boxstyle": "round,pad=.15", "fc": "white", "ec": "none", "alpha": 0.8})  # fmt: skip
        axes.set_title(title, fontsize=10)
        finish(axes, "first dimension", "second dimension")
        panels.append(axes)
    figure.colorbar(shown, ax=panels, ticks=range(10), label="digit")
    save(figure, path)
