import numpy as np
import pytest
from optuna.storages import InMemoryStorage
from PIL import Image

from tests.unit.search.test_worker import plan
from twinfolio.errors import ParamsError
from twinfolio.reporting.search import trials_table
from twinfolio.reporting.search_figures import heat_map, write_figures
from twinfolio.search.space import parse_space
from twinfolio.search.study import open_study
from twinfolio.search.worker import work

PAIR = {"a.x": {"float": [0, 1]}, "a.y": {"categorical": ["s", "t"]}}
GRID = {"n.depth": {"int": [1, 3]}, "n.kernels": {"categorical": [8, 16]}, "n.seed": {"categorical": [0, 1]}}


def searched(raw, measure, sampler="random", **changes):
    """A study without a database, its space, and its trials."""
    of = plan(sampler, space=parse_space(raw), **changes)
    study = open_study(of, InMemoryStorage())
    work(study, of.space, lambda trial, values: measure(values))
    return study, of.space, trials_table(study, of.space)


def drawn(folder, raw, measure, **changes):
    """Names of the figures, each a picture that is listed once."""
    figures = write_figures(*searched(raw, measure, **changes), folder)
    assert len({title for title, _ in figures}) == len(figures)
    assert sorted(path for _, path in figures) == sorted(folder.iterdir())
    for _, path in figures:
        assert Image.open(path).size >= (400, 200)
    return {path.name.removesuffix(".png") for _, path in figures}


def of_x(values):
    return [values["a.x"]]


def test_one_objective_and_two_keys_have_all_figures_but_a_grid(tmp_path):
    assert drawn(tmp_path, PAIR, of_x, trials=4) == {"history", "slice", "importance", "contour", "curves"}


def test_three_trials_are_too_few_to_say_which_key_matters(tmp_path):
    assert drawn(tmp_path, PAIR, of_x, trials=3) == {"history", "slice", "curves"}


def test_a_single_key_has_a_slice_and_no_importance(tmp_path):
    assert drawn(tmp_path, {"a.x": {"float": [0, 1]}}, of_x, trials=4) == {"history", "slice", "curves"}


def test_many_keys_have_slices_of_four_and_a_contour_of_the_four_that_matter(tmp_path):
    wide = {f"a.{key}": {"float": [0, 1]} for key in "xyzuvw"}
    assert drawn(tmp_path, wide, of_x, trials=4) == {"history", "slice", "slice_2", "importance", "contour", "curves"}
    assert Image.open(tmp_path / "contour.png").width < 1600


def test_two_objectives_have_figures_of_each_and_their_front(tmp_path):
    both = {"val/m": "maximize", "ms": "minimize"}
    names = drawn(tmp_path, PAIR, lambda values: [values["a.x"], 1 - values["a.x"] ** 2], trials=3, objectives=both)
    assert names == {"history_1", "slice_1", "history_2", "slice_2", "pareto"}


def test_objectives_are_drawn_each_with_its_own_values(tmp_path):
    both = {"val/m": "maximize", "ms": "minimize"}
    for name, second in (("a", 1.0), ("b", 2.0)):

        def measure(values, second=second):
            return [values["a.x"], second * values["a.x"] ** 2]

        write_figures(*searched(PAIR, measure, trials=3, objectives=both), tmp_path / name)
    first, second = ((tmp_path / name / "history_1.png").read_bytes() for name in "ab")
    assert first == second
    first, second = ((tmp_path / name / "history_2.png").read_bytes() for name in "ab")
    assert first != second


def test_a_study_without_a_finished_trial_has_curves_alone(tmp_path):
    def failed(values):
        raise ParamsError("wrong", "mend it")

    assert drawn(tmp_path, PAIR, failed, trials=2) == {"curves"}


def cell_value(values):
    return [values["n.depth"] / 10 + values["n.kernels"] / 100 + values["n.seed"] / 50]


def test_a_grid_over_two_keys_is_drawn_and_its_seeds_are_averaged(tmp_path):
    study, space, table = searched(GRID, cell_value, "grid", trials=None)
    grid = heat_map(table, space, "val/m")
    assert (list(grid.index), list(grid.columns)) == (["1", "2", "3"], ["8", "16"])
    expected = np.array([[0.1, 0.2, 0.3]]).T + np.array([[0.08, 0.16]]) + 0.01
    np.testing.assert_allclose(grid.to_numpy(), expected)
    figures = dict(write_figures(study, space, table, tmp_path))
    assert figures["Mean val/m"] == tmp_path / "grid.png"
    assert Image.open(tmp_path / "grid.png").size >= (400, 200)


def test_a_cell_whose_one_seed_failed_is_the_mean_of_the_others():
    def picky(values):
        if (values["n.depth"], values["n.kernels"], values["n.seed"]) == (2, 8, 1):
            raise ParamsError("wrong", "mend it")
        return cell_value(values)

    _, space, table = searched(GRID, picky, "grid", trials=None)
    grid = heat_map(table, space, "val/m")
    assert grid.loc["2", "8"] == pytest.approx(0.28)
    assert grid.loc["2", "16"] == pytest.approx(0.37)


def test_a_grid_with_a_hole_three_keys_or_no_trial_has_no_heat_map():
    def holey(values):
        if (values["n.depth"], values["n.kernels"]) == (2, 8):
            raise ParamsError("wrong", "mend it")
        return cell_value(values)

    _, space, table = searched(GRID, holey, "grid", trials=None)
    assert heat_map(table, space, "val/m") is None
    assert heat_map(table[table["state"] == "FAIL"], space, "val/m") is None
    _, space, table = searched(GRID | {"n.norm": {"categorical": [True, False]}}, cell_value, "grid", trials=None)
    assert (table["state"] == "COMPLETE").all()
    assert heat_map(table, space, "val/m") is None
