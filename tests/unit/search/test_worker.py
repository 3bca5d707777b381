"""Real studies in SQLite; objectives that cost nothing."""

import multiprocessing
import os
import signal
import time
from collections import Counter

import pytest
from optuna.exceptions import TrialPruned
from optuna.trial import TrialState
from sqlalchemy.exc import IntegrityError, OperationalError

from twinfolio.errors import ParamsError, TrackingError
from twinfolio.search.space import parse_space
from twinfolio.search.study import Plan, open_storage, open_study, planned_trials, unfinished
from twinfolio.search.worker import work

SPACE = parse_space({"a.x": {"float": [0, 1]}, "a.y": {"categorical": ["s", "t", [1, 2]]}})
GRID = parse_space({"a.x": {"int": [1, 3]}, "a.seed": {"categorical": [0, 1]}})


def plan(sampler="random", trials=6, space=None, **changes):
    space = space or (GRID if sampler == "grid" else SPACE)
    settings = {"objectives": {"val/m": "maximize"}, "pruner": "none", "startup": 2} | changes
    return Plan("s", space, trials=trials, sampler=sampler, **settings)


def opened(folder, of, heartbeat=1):
    return open_study(of, open_storage(f"sqlite:///{folder / 'study.db'}", heartbeat, 3))


def value_of(values):
    return sum(hash(str(value)) % 1000 for value in values.values()) / 1000


def constant(trial, values):
    return [float(values["a.x"])]


def params_of(study):
    return [trial.params for trial in study.trials if trial.state == TrialState.COMPLETE]


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe", "cmaes", "nsga2"])
def test_six_trials_interrupted_and_resumed_are_the_six_of_an_uninterrupted_study(tmp_path, sampler):
    of = plan(
        sampler, space=None if sampler != "cmaes" else parse_space({"a.x": {"float": [0, 1]}, "a.z": {"float": [0, 1]}})
    )
    whole = opened(tmp_path / "whole", of)
    work(whole, of.space, constant, poll_s=0.01)
    seen = Counter()

    def interrupted(trial, values):
        seen[trial.number] += 1
        if sum(seen.values()) == 4:
            raise KeyboardInterrupt
        return constant(trial, values)

    study = opened(tmp_path / "cut", of)
    with pytest.raises(KeyboardInterrupt):
        work(study, of.space, interrupted, poll_s=0.01)
    study = opened(tmp_path / "cut", of)
    work(study, of.space, constant, poll_s=0.01)
    assert unfinished(study) == (0, 0)
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert sorted(trial.user_attrs["cell"] for trial in done) == list(range(6))
    if sampler in ("grid", "random"):  # the others learn from what is finished, and one trial more has failed
        assert sorted(map(str, params_of(study))) == sorted(map(str, params_of(whole)))


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_pruned_studies_are_interrupted_resumed_and_finished(tmp_path, pruner):
    of = plan(trials=6, pruner=pruner, least_epochs=1, most_epochs=9, factor=3)
    calls = []

    def trained(trial, values):
        calls.append(trial.number)
        if len(calls) == 3:
            raise KeyboardInterrupt
        for epoch in range(1, 10):
            trial.report(values["a.x"] * epoch, epoch)
            if trial.should_prune():
                raise TrialPruned
        return [values["a.x"] * 9]

    study = opened(tmp_path, of)
    with pytest.raises(KeyboardInterrupt):
        work(study, of.space, trained, poll_s=0.01)
    work(opened(tmp_path, of), of.space, trained, poll_s=0.01)
    states = Counter(trial.state for trial in study.trials)
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == 6
    assert states[TrialState.PRUNED] >= 1
    assert states[TrialState.COMPLETE] >= 1


def one_of_many(folder, of, log):
    study = opened(folder, of)

    def slow(trial, values):
        with log.open("a") as file:
            file.write(f"{trial.user_attrs['cell']}\n")
        time.sleep(0.05)
        return constant(trial, values)

    work(study, of.space, slow, poll_s=0.05)


def test_workers_share_a_study_and_run_each_point_once(tmp_path):
    of = plan("grid", trials=None)
    opened(tmp_path, of)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=one_of_many, args=(tmp_path, of, tmp_path / "log")) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted((tmp_path / "log").read_text().split()) == list("012345")
    study = opened(tmp_path, of)
    points = [trial.params for trial in planned_trials(study)]
    assert sorted(map(str, points)) == sorted(map(str, GRID.grid()))


def killed_half_way(folder, of):
    study = opened(folder, of)

    def stuck(trial, values):
        trial.report(0.5, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    work(study, of.space, stuck)


def test_the_trial_of_a_killed_worker_is_begun_again_with_its_values(tmp_path):
    of = plan("random", trials=3)
    worker = multiprocessing.get_context("spawn").Process(target=killed_half_way, args=(tmp_path, of))
    worker.start()
    worker.join()
    study = opened(tmp_path, of)
    assert unfinished(study) == (2, 1)
    (dead,) = [trial for trial in study.trials if trial.state == TrialState.RUNNING]
    work(study, of.space, constant, poll_s=0.2)
    states = {trial.number: trial.state for trial in study.trials}
    assert states == {0: TrialState.FAIL, 1: TrialState.COMPLETE, 2: TrialState.COMPLETE, 3: TrialState.COMPLETE}
    again = study.trials[3]
    assert again.params == dead.params
    assert again.intermediate_values == {1: 0.5}
    assert again.user_attrs["cell"] == dead.user_attrs["cell"]


def test_a_combination_that_fails_is_recorded_and_the_search_goes_on(tmp_path):
    of = plan("grid", trials=None)

    def picky(trial, values):
        if values["a.x"] == 2:
            raise ParamsError("a.x = 2: must be odd", "change it")
        return constant(trial, values)

    study = opened(tmp_path, of)
    work(study, of.space, picky, poll_s=0.01)
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert [trial.user_attrs["error"] for trial in failed] == ["a.x = 2: must be odd; change it"] * 2
    assert len(params_of(study)) == 4


@pytest.mark.parametrize("error", [TrackingError("MLflow is down", "start it"), OSError(28, "no space")])
def test_a_store_or_a_disk_that_fails_stops_the_search_and_loses_no_trial(tmp_path, error):
    of = plan(trials=2)

    def lost(trial, values):
        raise error

    study = opened(tmp_path, of)
    with pytest.raises(type(error)):
        work(study, of.space, lost, poll_s=0.01)
    assert unfinished(study) == (2, 0)
    work(study, of.space, constant, poll_s=0.01)
    assert len(params_of(study)) == 2


def test_a_programming_error_keeps_its_traceback(tmp_path):
    of = plan()

    def wrong(trial, values):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work(opened(tmp_path, of), of.space, wrong, poll_s=0.01)


def test_more_trials_are_queued_where_more_are_wanted(tmp_path):
    work(opened(tmp_path, plan(trials=2)), SPACE, constant, poll_s=0.01)
    study = opened(tmp_path, plan(trials=5))
    assert unfinished(study) == (3, 0)
    work(study, SPACE, constant, poll_s=0.01)
    assert len({str(params) for params in params_of(study)}) == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": parse_space({"a.x": {"float": [0, 2]}})}, "search.space: study s searches another one"),
        ({"objectives": {"val/n": "maximize"}}, r"search.objectives: study s has \['val/m'\]"),
        ({"objectives": {"val/m": "minimize"}}, "search.objectives: study s has"),
    ],
)
def test_a_study_keeps_to_its_space_and_its_objectives(tmp_path, changes, words):
    work(opened(tmp_path, plan()), SPACE, constant, poll_s=0.01)
    with pytest.raises(ParamsError, match=words):
        opened(tmp_path, plan(**changes))
    assert len(params_of(opened(tmp_path, plan()))) == 6


def test_without_a_grid_there_must_be_a_number_of_trials(tmp_path):
    with pytest.raises(ParamsError, match=r"search\.trials is null"):
        opened(tmp_path, plan("tpe", trials=None))


def test_a_plan_that_cannot_be_leaves_no_study_to_keep_to(tmp_path):
    with pytest.raises(ParamsError, match="finitely many values"):
        opened(tmp_path, plan("grid", space=SPACE))
    assert len(opened(tmp_path, plan("grid")).trials) == 6


def refusing(monkeypatch, *errors):
    """A server that answers with these errors, and then works; the seconds that were waited."""
    left, waited = list(errors), []

    def connect(url, **options):
        if left:
            raise left.pop(0)
        return "storage"

    monkeypatch.setattr("twinfolio.search.study.RDBStorage", connect)
    monkeypatch.setattr("twinfolio.search.study.time.sleep", waited.append)
    return waited


def of_mysql(code):
    return OperationalError("CREATE TABLE", None, Exception(code, "told by the server"))


def test_who_finds_the_tables_half_made_by_another_tries_again(monkeypatch):
    made = (of_mysql(1050), of_mysql(1213), IntegrityError("INSERT", None, Exception("twice")))
    waited = refusing(monkeypatch, *made)
    assert open_storage("mysql+pymysql://me@host/one", 1, 3) == "storage"
    assert waited == [1, 1, 1]


@pytest.mark.parametrize("error", [of_mysql(2003), OperationalError("SELECT", None, Exception("refused"))])
def test_a_server_that_is_not_there_is_not_waited_for(monkeypatch, error):
    waited = refusing(monkeypatch, error)
    with pytest.raises(TrackingError, match=r"search\.storage = mysql.*cannot be reached"):
        open_storage("mysql+pymysql://me@host/one", 1, 3)
    assert waited == []


def test_a_storage_that_is_down_is_one_line_without_its_password():
    with pytest.raises(TrackingError, match=r"search\.storage = postgresql") as raised:
        open_storage("postgresql+psycopg://me:secret@127.0.0.1:1/none", 1, 3)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("raised", [SystemExit(143), SystemExit(1), KeyboardInterrupt()])
def test_a_terminated_trial_is_queued_again_and_the_exit_status_stays(tmp_path, raised):
    of = plan(trials=1)

    def stopped(trial, values):
        raise raised

    study = opened(tmp_path, of)
    with pytest.raises(type(raised)) as info:
        work(study, of.space, stopped, poll_s=0.01)
    assert getattr(info.value, "code", None) == getattr(raised, "code", None)
    assert not isinstance(info.value.__context__, KeyboardInterrupt)
    assert unfinished(study) == (1, 0)
