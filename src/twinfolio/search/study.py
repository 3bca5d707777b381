"""A study that any number of workers share: opened or created once, its trials queued, dead workers' trials retried."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from filelock import FileLock
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from twinfolio.errors import ParamsError, TrackingError
from twinfolio.search.space import Space
from twinfolio.search.strategies import build_pruner, build_sampler
from twinfolio.urls import without_password

CELL = "cell"
"""A queued trial's number in the plan; a trial without it was asked for when the queue had just run out."""
METRICS = "metrics"
"""User attribute of a finished trial: everything that was measured."""
_SPACE, _SQLITE = "space", "sqlite:///"
_TRIES = 5
_MYSQL_RACES = (1050, 1213)
"""MySQL's errors where two make the tables at once: one is there already, a deadlock."""


@dataclass(frozen=True)
class Plan:
    """What a study is to do.

    Attributes:
        name: Of the study in its storage.
        space: What is searched.
        objectives: Metrics and ``maximize`` or ``minimize``.
        trials: How many; None: every point of the grid.
        sampler: One of ``strategies.SAMPLERS``.
        pruner: One of ``strategies.PRUNERS``.
        seed: Of the sampler.
        startup: See ``build_sampler`` and ``build_pruner``.
        least_epochs: See ``build_pruner``.
        most_epochs: See ``build_pruner``.
        factor: See ``build_pruner``.
        retries: Times that a trial of a dead worker is begun again.
    """

    name: str
    space: Space
    objectives: dict[str, Literal["maximize", "minimize"]]
    trials: int | None
    sampler: str
    pruner: str
    seed: int = 0
    startup: int = 10
    least_epochs: int | None = None
    most_epochs: int = 10
    factor: int = 3
    retries: int = 3


class OneAtATime(RDBStorage):
    """SQLite locks no row that it reads: without a lock of our own two workers would take one waiting trial.

    Args:
        url: Of the database.
        lock: File to lock.
        options: As ``RDBStorage``.
    """

    def __init__(self, url: str, lock: Path, **options: Any) -> None:
        super().__init__(url, **options)
        self._lock = FileLock(lock)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Take, or finish, a trial."""
        with self._lock:
            return super().set_trial_state_values(trial_id, state, values)


def open_storage(url: str, heartbeat_s: int, retries: int) -> RDBStorage:
    """A database that workers tell they are alive.

    Args:
        url: SQLAlchemy's, SQLite, PostgreSQL or MySQL.
        heartbeat_s: Seconds between two signs of life; after three missed ones a trial counts as dead.
        retries: See ``Plan``.

    Raises:
        TrackingError: The storage cannot be reached.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            signs: dict[str, Any] = {
                "heartbeat_interval": heartbeat_s,
                "grace_period": 3 * heartbeat_s,
                "heartbeat_stale_trial_callback": RetryHeartbeatStaleTrialCallback(retries, True),
            }
            if not url.startswith(_SQLITE):
                return _open_shared(url, signs)
            path = Path(url.removeprefix(_SQLITE))
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.with_name(f"{path.name}.lock")
            with FileLock(lock):  # its tables are made once
                return OneAtATime(url, lock, engine_kwargs={"connect_args": {"timeout": 60}}, **signs)
    except (SQLAlchemyError, StorageInternalError, ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0][:160]
        raise TrackingError(
            f"search.storage = {without_password(url)}: cannot be reached ({reason})",
            "start the database, or correct the URL",
        ) from None


def _open_shared(url: str, signs: Mapping[str, Any]) -> RDBStorage:
    """A server's database; of workers that first touch it together one makes the tables, and the others try again."""
    for left in reversed(range(_TRIES)):
        try:
            return RDBStorage(url, engine_kwargs={"pool_pre_ping": True}, **signs)
        except (IntegrityError, OperationalError, ProgrammingError, StorageInternalError) as error:
            if not left or (isinstance(error, OperationalError) and _mysql_code(error) not in _MYSQL_RACES):
                raise  # one that is down stays down
            time.sleep(1)
    raise AssertionError


def _mysql_code(error: OperationalError) -> object:
    """The number of MySQL's error; whatever another driver puts first."""
    return next(iter(getattr(error.orig, "args", ())), None)


def open_study(plan: Plan, storage: RDBStorage) -> Study:
    """The study with all its trials queued; whoever creates it queues them, everyone else joins.

    Args:
        plan: What it is to do.
        storage: Where it lies.

    Raises:
        ParamsError: A study of this name searches another space, or for other objectives; or see ``cells``.
    """
    planned = cells(plan)  # a plan that cannot be is refused before a study is made that would keep to it
    make: dict[str, Any] = {
        "study_name": plan.name,
        "storage": storage,
        "sampler": build_sampler(plan.sampler, plan.seed, plan.startup),
        "pruner": build_pruner(plan.pruner, plan.least_epochs, plan.most_epochs, plan.factor, plan.startup),
    }
    try:
        study = optuna.create_study(directions=list(plan.objectives.values()), **make)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(plan.objectives))
        study.set_user_attr(_SPACE, plan.space.fingerprint())
    except DuplicatedStudyError:
        study = optuna.load_study(**make)
        _check_same(study, plan)
    _queue(study, planned)
    return study


def cells(plan: Plan) -> list[dict[str, Any]]:
    """What is fixed of each trial beforehand: a grid's points, else nothing.

    Raises:
        ParamsError: A grid over an endless dimension, or no number of trials without a grid.
    """
    if plan.sampler == "grid":
        return plan.space.grid()[: plan.trials]
    if plan.trials is None:
        raise ParamsError(
            "search.trials is null", f"set a number: only a grid has an end of its own, not {plan.sampler}"
        )
    return [{}] * plan.trials


def is_surplus(study: Study, number: int) -> bool:
    """Whether a trial is none of the plan's.

    It was asked for when another worker had just taken the last one of the queue, or two workers that opened the study
    at the same moment both queued its cell: the trial of the lower number is the plan's.
    """
    trials = study.get_trials(deepcopy=False)
    trial = next(one for one in trials if one.number == number)
    if CELL not in trial.user_attrs:
        return True
    same = [one for one in trials if one.user_attrs.get(CELL) == trial.user_attrs[CELL]]
    return _first_attempt(trial) != min(_first_attempt(one) for one in same)


def planned_trials(study: Study) -> list[FrozenTrial]:
    """The latest attempt of each cell of the plan, in order."""
    latest: dict[int, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        cell = trial.user_attrs.get(CELL)
        if cell is not None and (cell not in latest or _first_attempt(trial) == _first_attempt(latest[cell])):
            latest[cell] = trial
    return [latest[cell] for cell in sorted(latest)]


def _first_attempt(trial: FrozenTrial) -> int:
    """Number of the trial that this one begins again, or its own."""
    return int(trial.system_attrs.get("failed_trial", trial.number))


def first_attempt(study: Study, number: int) -> int:
    """Number of the trial that this one begins again, or its own."""
    return _first_attempt(next(one for one in study.get_trials(deepcopy=False) if one.number == number))


def unfinished(study: Study) -> tuple[int, int]:
    """How many trials wait, and how many run."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return states.count(TrialState.WAITING), states.count(TrialState.RUNNING)


def _queue(study: Study, planned: Sequence[Mapping[str, Any]]) -> None:
    """Queue the cells that no trial has yet: a worker killed while it queued leaves some, more trials add some."""
    there = {trial.user_attrs.get(CELL) for trial in study.get_trials(deepcopy=False)}
    for cell, point in enumerate(planned):
        if cell not in there:
            study.enqueue_trial(dict(point), user_attrs={CELL: cell})


def objectives(study: Study) -> list[str]:
    """Names of what a study maximises or minimises."""
    return list(study.metric_names or ["value"])


def _check_same(study: Study, plan: Plan) -> None:
    mend = "choose another search.study, or put the old one back"
    space = study.user_attrs.get(_SPACE)
    if space is not None and space != plan.space.fingerprint():
        changed = sorted(set(space) ^ set(plan.space.fingerprint()))
        raise ParamsError(f"search.space: study {plan.name} searches another one (differs in {changed[0]})", mend)
    directions = [direction.name.lower() for direction in study.directions]
    if (study.metric_names or list(plan.objectives)) != list(plan.objectives) or directions != list(
        plan.objectives.values()
    ):
        raise ParamsError(f"search.objectives: study {plan.name} has {study.metric_names} ({directions})", mend)
