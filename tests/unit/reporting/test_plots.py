import numpy as np
import pandas as pd
import pytest
from PIL import Image

from twinfolio.reporting.plots import (
    line,
    plot_cmc,
    plot_confusion,
    plot_history,
    plot_intervals,
    plot_per_class,
    plot_reliability,
    plot_roc_and_pr,
)

CURVE = (np.linspace(0, 1, 20), np.sqrt(np.linspace(0, 1, 20)))


def draw_history(path, shift=0.0):
    frame = pd.DataFrame(
        {"epoch": [0, 1, 2], "train/loss": [2.0, 1.0, 0.5 + shift], "val/macro_f1": [0.1, np.nan, 0.8]}
    )
    plot_history(path, frame)


def draw_intervals(path, shift=0.0):
    first = {"l1": (0.8, 0.7, 0.9), "l2 $x": (0.6 + shift, 0.5, 0.8)}
    plot_intervals(path, {"mAP": first, "F1": {"l1": (1, 1, 1), "l2 $x": (0, 0, 0)}}, "l1")


def draw_curves(path, shift=0.0):
    plot_roc_and_pr(path, {"l1": (CURVE[0], CURVE[1] - shift)}, {"l1": (CURVE[0], 1 - CURVE[0] / 2)}, 0.5)


def draw_cmc(path, shift=0.0):
    plot_cmc(path, {"l1": np.array([0.5, 0.7, 0.9 + shift])})


def draw_confusion(path, shift=0.0):
    plot_confusion(path, np.array([[5, 1 + int(shift * 100)], [0, 0]]), ["$a$ b_c^d", "long " * 20])


def draw_per_class(path, shift=0.0):
    plot_per_class(path, ["a", "b", "c"], {"F1": np.array([0.5, 0.2, 1.0 - shift]), "AP": np.array([0.5, 0.3, np.nan])})


def draw_reliability(path, shift=0.0):
    bins = (np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.4 + shift, 0.95]), np.array([100, 20, 1]))
    plot_reliability(path, {"all pairs": bins, "one bin": tuple(part[:1] for part in bins)})


FIGURES = [draw_history, draw_intervals, draw_curves, draw_cmc, draw_confusion, draw_per_class, draw_reliability]


@pytest.mark.parametrize("draw", FIGURES)
def test_the_same_numbers_give_the_same_bytes_and_others_do_not(draw, tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    draw(tmp_path / "c.png", 0.07)
    first, second, third = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == second
    assert first != third
    assert b"Software" not in first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "c.png"]


def test_no_two_of_thirty_two_lines_look_alike():
    assert len({tuple(line(i).items()) for i in range(32)}) == 32


def test_names_of_many_lines_stand_beside_them(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("twinfolio.reporting.plots.save", lambda figure, path: drawn.append(figure))
    for n in (8, 9):
        plot_cmc(tmp_path / "cmc.png", {f"system {i}": np.linspace(0, 1, 5) for i in range(n)})
    few, many = drawn
    assert (len(few.legends), few.axes[0].get_legend() is not None) == (0, True)
    assert (len(many.legends), many.axes[0].get_legend()) == (1, None)


@pytest.mark.parametrize("draw", FIGURES)
def test_figures_are_wide_enough_to_read(draw, tmp_path):
    draw(tmp_path / "a.png")
    width, height = Image.open(tmp_path / "a.png").size
    assert width >= 480
    assert height >= 180


def test_a_matrix_of_a_hundred_classes_stays_a_figure_of_bounded_size(tmp_path):
    plot_confusion(tmp_path / "big.png", np.eye(114, dtype=int), [f"manuscript {i}" for i in range(114)])
    assert max(Image.open(tmp_path / "big.png").size) <= 2200


def test_a_history_with_losses_alone_is_drawn(tmp_path):
    plot_history(tmp_path / "a.png", pd.DataFrame({"train_loss": [1.0, 0.5]}))
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.filterwarnings("error")
def test_a_value_that_does_not_exist_leaves_its_place_empty(tmp_path):
    nothing = (float("nan"),) * 3
    plot_intervals(tmp_path / "a.png", {"mAP": {"l1": (0.5, 0.4, 0.6), "l2": nothing}})
    plot_intervals(tmp_path / "b.png", {"mAP": {"l1": (0.5, 0.4, 0.6), "l2": (0.5, 0.4, 0.6)}})
    first, second = (Image.open(tmp_path / name).convert("L") for name in ("a.png", "b.png"))
    assert first.size == second.size
    assert np.mean(first) > np.mean(second)
