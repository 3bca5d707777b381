"""Samplers and pruners of Optuna by the names that ``search.sampler`` and ``search.pruner`` give them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

SAMPLERS = ("grid", "random", "tpe", "cmaes", "nsga2")
PRUNERS = ("none", "median", "asha", "hyperband")


class SeededByTrial(BaseSampler):
    """A sampler whose every trial draws from (seed, trial number): resuming a study, or sharing it, repeats no draw.

    Args:
        make: A sampler for a seed; what it knows of earlier trials it reads from the study.
        seed: Of the study.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._inner = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Take a generator of the trial's own."""
        state = np.random.SeedSequence((self._seed, trial.number)).generate_state(1)
        self._inner = self._make(int(state[0] >> 1))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler has it."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler has it."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler has it."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """As the sampler has it."""
        self._inner.after_trial(study, trial, state, values)


def build_sampler(name: str, seed: int, startup: int) -> BaseSampler:
    """A sampler.

    Args:
        name: One of ``SAMPLERS``; a grid's points are queued beforehand, so that it needs none of its own.
        seed: Of its draws.
        startup: Random trials before TPE and CMA-ES learn from what they saw; the population of NSGA-II.
    """
    makers: Mapping[str, Callable[[int], BaseSampler]] = {
        "grid": RandomSampler,
        "random": RandomSampler,
        # a trial that another worker still runs counts as a poor one, so that workers do not crowd
        "tpe": lambda seed: TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True),
        "cmaes": lambda seed: CmaEsSampler(seed=seed, n_startup_trials=startup),
        "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=max(2, startup)),
    }
    return SeededByTrial(_quietly(makers[name]), seed)


def build_pruner(name: str, least: int | None, most: int, factor: int, startup: int) -> BasePruner:
    """A pruner.

    Args:
        name: One of ``PRUNERS``.
        least: Epochs that no trial is stopped before; None: ``most`` / ``factor``^2, at least one.
        most: Epochs of a whole trial.
        factor: One trial in so many goes on to the next rung (``asha``, ``hyperband``).
        startup: Finished trials before the median counts.
    """
    least = least or max(1, most // factor**2)
    if name == "median":
        return MedianPruner(n_startup_trials=startup, n_warmup_steps=least)
    if name == "asha":
        return SuccessiveHalvingPruner(min_resource=least, reduction_factor=factor)
    if name == "hyperband":
        return HyperbandPruner(min_resource=least, max_resource=most, reduction_factor=factor)
    return NopPruner()


def _quietly(make: Callable[[int], BaseSampler]) -> Callable[[int], BaseSampler]:
    def quiet(seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return make(seed)

    return quiet
