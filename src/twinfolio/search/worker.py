"""One worker of a study: takes queued trials until none is left, and begins those of dead workers again."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.study import Study
from optuna.trial import Trial

from twinfolio.errors import DataError, ModelError, ParamsError, TrackingError, TwinfolioError
from twinfolio.search.space import Space
from twinfolio.search.study import is_surplus, unfinished

logger = logging.getLogger(__name__)

ERROR = "error"
"""Why a trial failed."""
COMBINATION = (ParamsError, ModelError, DataError)
"""Errors of a combination that params, the model or the data do not allow."""
Objective = Callable[[Trial, dict[str, Any]], Sequence[float]]
"""From a trial and its values by dotted key to one number an objective."""


class SurplusError(TwinfolioError):
    """A trial asked for when another worker had just taken the last one of the queue."""


def work(study: Study, space: Space, objective: Objective, *, poll_s: float = 1.0) -> None:
    """Run trials until none waits and none runs, here or elsewhere.

    A combination that fails is recorded with its reason, and the search goes on. An interrupted trial is queued again
    at once; one whose worker died, when its signs of life have been missing for long enough.

    Args:
        study: See ``open_study``.
        space: What is searched.
        objective: Trains and measures; raises ``TrialPruned`` for a trial that is not worth finishing.
        poll_s: Seconds between two looks at trials that run elsewhere.

    Raises:
        TrackingError: A store cannot be reached; the trial is queued again.
        OSError: No space, no permission; likewise.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    told = 0
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            fail_stale_trials(study)
        waiting, running = unfinished(study)
        if waiting:
            _run_one(study, space, objective)
        elif running:
            if running != told:
                logger.info("waiting for %d trials of other workers", running)
            told = running
            time.sleep(poll_s)
        else:
            return


def _run_one(study: Study, space: Space, objective: Objective) -> None:
    current: list[Trial] = []

    def run(trial: Trial) -> Sequence[float]:
        current.append(trial)
        if is_surplus(study, trial.number):
            raise SurplusError("no trial of the plan", "nothing is to be done")
        try:
            return objective(trial, space.suggest(trial))
        except COMBINATION as error:
            trial.set_user_attr(ERROR, str(error))
            logger.warning("trial %d: %s", trial.number, error)
            raise
        except SystemExit as stop:  # SIGTERM, and what Lightning makes of Ctrl-C; Optuna knows only the latter
            raise KeyboardInterrupt from stop

    try:
        study.optimize(run, n_trials=1)
        return
    except (KeyboardInterrupt, TrackingError, OSError) as stop:  # not the trial's fault
        stopped = stop.__cause__ or stop if isinstance(stop, KeyboardInterrupt) else stop
    except (SurplusError, *COMBINATION):
        return  # recorded as failed; Optuna's own ``catch`` would print a traceback
    for trial in current:
        _begin_again(study, trial.number)
    raise stopped  # out here, where it keeps its own context: exit codes are read from it


def _begin_again(study: Study, number: int) -> None:
    """Queue an interrupted trial again, with its values and what it reported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        trial = next(one for one in study.get_trials(deepcopy=False) if one.number == number)
        RetryHeartbeatStaleTrialCallback(None, inherit_intermediate_values=True)(study, trial)
