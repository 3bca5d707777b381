import json
import shlex

import numpy as np
import pandas as pd
import pytest
import yaml
from optuna.exceptions import TrialPruned
from optuna.storages import InMemoryStorage

from tests.unit.search.test_worker import opened, plan
from twinfolio.errors import ParamsError
from twinfolio.params.file import patched
from twinfolio.reporting.search import best_trials, flags, objectives, trials_table, write_search
from twinfolio.search.space import parse_space
from twinfolio.search.study import METRICS, open_study
from twinfolio.search.worker import work

SPACE = parse_space(
    {
        "a.rate": {"categorical": [2.5e-05, 0.25]},
        "a.widths": {"categorical": [[], [8, 4]]},
        "b.start": {"categorical": ["from scratch"]},
    }
)
BEST = {"a.rate": 2.5e-05, "a.widths": [8, 4], "b.start": "from scratch"}


def in_memory(planted, **changes):
    """A study whose cells have these values."""
    of = plan("random", trials=len(planted), space=SPACE, **changes)
    study = open_study(of, InMemoryStorage())
    work(study, SPACE, lambda trial, values: planted[trial.user_attrs["cell"]])
    return study


def outcome(cell, trial):
    if cell == 0:
        return [0.25]
    if cell == 1:
        return [0.75]
    if cell == 2:
        raise ParamsError("a.widths = []: too few", "widen it")
    for epoch, value in ((1, 0.5), (2, 0.625), (3, 0.25)):
        trial.report(value, epoch)
    raise TrialPruned


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A grid of four: finished, the best, failed, pruned; the first was interrupted and begun again."""
    of = plan("grid", trials=None, space=SPACE)
    study = opened(tmp_path_factory.mktemp("search"), of)

    def interrupted(trial, values):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(study, SPACE, interrupted, poll_s=0.01)
    work(study, SPACE, lambda trial, values: outcome(trial.user_attrs["cell"], trial), poll_s=0.01)
    assert len(study.trials) == 5
    return study


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    (folder / "out").mkdir()
    assert write_search(study, SPACE, folder / "out", folder / "report") == BEST
    return folder


def test_the_table_has_a_row_a_cell_with_its_values_as_params_would_hold_them(study):
    table = trials_table(study, SPACE)
    assert list(table.columns) == ["trial", "cell", "state", "val/m", *SPACE.keys, "epochs", "error"]
    assert table["cell"].tolist() == [0, 1, 2, 3]
    assert table["trial"].tolist() == [4, 1, 2, 3]
    assert table["state"].tolist() == ["COMPLETE", "COMPLETE", "FAIL", "PRUNED"]
    assert table["a.rate"].tolist() == [2.5e-05, 2.5e-05, 0.25, 0.25]
    assert table["a.widths"].tolist() == [[], [8, 4], [], [8, 4]]


def test_a_pruned_trial_shows_its_best_report_and_a_failed_one_why(study):
    table = trials_table(study, SPACE).set_index("state")
    assert table.loc["PRUNED", ["val/m", "epochs", "error"]].tolist() == [0.625, 3, ""]
    assert np.isnan(table.loc["FAIL", "val/m"])
    assert table.loc["FAIL", ["epochs", "error"]].tolist() == [0, "a.widths = []: too few; widen it"]


@pytest.mark.parametrize(("direction", "best"), [("maximize", 0.5), ("minimize", 0.25)])
def test_a_trial_that_fails_on_its_way_shows_how_far_it_came(direction, best):
    def lost(trial, values):
        for epoch, value in ((1, 0.5), (2, 0.25)):
            trial.report(value, epoch)
        raise ParamsError("no more", "mend it")

    of = plan("random", trials=1, space=SPACE, objectives={"val/m": direction})
    study = open_study(of, InMemoryStorage())
    work(study, SPACE, lost)
    assert trials_table(study, SPACE).loc[0, ["state", "val/m", "epochs"]].tolist() == ["FAIL", best, 2]


def test_where_no_epoch_was_reported_the_training_says_how_many_it_had():
    study = open_study(
        plan("random", trials=1, space=SPACE, objectives={"val/m": "maximize", "ms": "minimize"}), InMemoryStorage()
    )

    def trained(trial, values):
        trial.set_user_attr(METRICS, {"epochs_run": 7.0})
        return [0.5, 1.0]

    work(study, SPACE, trained)
    assert trials_table(study, SPACE)["epochs"].tolist() == [7]


def test_a_trial_that_waits_has_no_values_yet():
    table = trials_table(open_study(plan("random", trials=2, space=SPACE), InMemoryStorage()), SPACE)
    assert table["state"].tolist() == ["WAITING", "WAITING"]
    assert table[["val/m", *SPACE.keys]].isna().all(axis=None)


@pytest.mark.parametrize(("direction", "best"), [("maximize", 2), ("minimize", 1)])
def test_the_best_trial_of_one_objective_is_the_highest_or_the_lowest(direction, best):
    study = in_memory([[0.5], [0.25], [0.75]], objectives={"val/m": direction})
    assert [trial.number for trial in best_trials(study)] == [best]


@pytest.mark.parametrize(("first", "front"), [("maximize", [0, 3, 1]), ("minimize", [4, 2, 1])])
def test_the_front_of_two_objectives_holds_what_none_beats_and_starts_with_the_best_of_the_first(first, front):
    planted = [[0.9, 5.0], [0.5, 1.0], [0.45, 4.0], [0.7, 3.0], [0.4, 6.0]]
    study = in_memory(planted, objectives={"val/m": first, "ms": "minimize"})
    assert objectives(study) == ["val/m", "ms"]
    assert [trial.number for trial in best_trials(study)] == front


def test_flags_survive_the_shell_and_json():
    values = {"a.rate": 1e-05, "a.sum": 0.1 + 0.2, "a.widths": [8, 4], "a.none": [], "a.off": None, "a.on": True}
    values |= {"b.start": "from scratch", "b.quoted": "it's $HOME; `ls`"}
    words = shlex.split(flags(values))
    assert words[::2] == ["-S"] * len(values)
    settings = [word.partition("=") for word in words[1::2]]
    assert {key.removeprefix("++"): json.loads(text) for key, _, text in settings} == values
    assert [key for key, _, _ in settings] == [f"++{key}" for key in values]


def test_dvc_reads_the_flags_as_the_patch_also_of_a_key_left_at_its_default(tmp_path):
    from dvc.utils.hydra import apply_overrides

    params = {"a": {"rate": 1.0, "widths": [3], "seed": 0}, "b": {}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    apply_overrides(tmp_path / "params.yaml", shlex.split(flags(BEST))[1::2])
    assert yaml.safe_load((tmp_path / "params.yaml").read_text()) == patched(params, BEST)


def test_the_best_params_are_a_patch_and_its_flags(written):
    assert yaml.safe_load((written / "out/best_params.yaml").read_text()) == patched({}, BEST)
    assert (written / "out/best_params.flags").read_text() == flags(BEST) + "\n"


def test_metrics_count_the_trials_and_name_the_best_value(written):
    metrics = json.loads((written / "report/metrics.json").read_text())
    counts = {"search/COMPLETE": 2, "search/FAIL": 1, "search/PRUNED": 1}
    assert metrics == counts | {"search/best/val_m": 0.75}


def test_the_trials_are_written_in_the_order_of_the_plan_and_reported_best_first(written, study):
    table = pd.read_csv(written / "report/trials.csv", keep_default_na=False)
    assert table["cell"].tolist() == [0, 1, 2, 3]
    assert table["error"].tolist() == trials_table(study, SPACE)["error"].tolist()
    html = (written / "report/report.html").read_text()
    shown = (("COMPLETE", "0.75"), ("PRUNED", "0.625"), ("COMPLETE", "0.25"), ("FAIL", ""))
    places = [html.index(f"<td>{state}</td><td>{value}</td>") for state, value in shown]
    assert places == sorted(places)


def test_the_report_holds_the_best_value_the_first_error_and_every_figure(written):
    html = (written / "report/report.html").read_text()
    assert "best val/m<b>0.7500</b>" in html
    assert "Failed trials: 1; the first: a.widths = []: too few; widen it" in html
    figures = list((written / "report/figures").iterdir())
    assert {figure.name for figure in figures} == {"history.png", "slice.png", "curves.png"}
    assert html.count("data:image/png") == len(figures)


def test_a_study_without_a_finished_trial_says_so_and_names_no_params(tmp_path):
    study = open_study(plan("random", trials=2, space=SPACE), InMemoryStorage())
    work(study, SPACE, lambda trial, values: outcome(trial.user_attrs["cell"] + 2, trial))
    assert best_trials(study) == []
    (tmp_path / "out").mkdir()
    assert write_search(study, SPACE, tmp_path / "out", tmp_path / "report") is None
    assert not list((tmp_path / "out").iterdir())
    assert "No trial was finished." in (tmp_path / "report/report.html").read_text()
    metrics = json.loads((tmp_path / "report/metrics.json").read_text())
    assert metrics == {"search/FAIL": 1, "search/PRUNED": 1}
