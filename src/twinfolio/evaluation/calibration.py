"""Scores as probabilities: the fit on validation pairs, and how far it may be trusted.

Sources: Platt 1999 (a logistic curve over the score; temperature scaling where the offset is fixed), Zadrozny & Elkan
2002 (isotonic regression), Naeini et al. 2015 (expected calibration error; here over bins of equal mass).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Floats, Integers, finite_scores
from twinfolio.evaluation.bootstrap import Interval, bootstrap_totals

Method = Literal["logistic", "isotonic"]
METHODS: tuple[Method, ...] = ("logistic", "isotonic")
_TINY = 1e-6


@dataclass(frozen=True)
class Calibrator:
    """A rising function from score to probability.

    Attributes:
        method: ``logistic``: sigmoid(slope x score + offset); ``isotonic``: straight lines between knots.
        scores: Knots (K,), rising; under ``logistic`` (slope, offset).
        probabilities: At the knots (K,), rising, in [0, 1]; empty under ``logistic``.
    """

    method: Method
    scores: tuple[float, ...]
    probabilities: tuple[float, ...] = ()

    def __call__(self, scores: ArrayLike) -> Floats:
        """Probabilities of scores of any shape."""
        array = np.asarray(scores, dtype=np.float64)
        if self.method == "logistic":
            slope, offset = self.scores
            return np.asarray(0.5 * (1 + np.tanh(0.5 * (slope * array + offset))))  # the sigmoid, without overflow
        return np.asarray(np.interp(array, self.scores, self.probabilities))

    def to_json(self) -> dict[str, Any]:
        """Plain values; ``from_json`` reads them."""
        return {"method": self.method, "scores": list(self.scores), "probabilities": list(self.probabilities)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A calibrator of ``to_json``."""
        return cls(values["method"], tuple(values["scores"]), tuple(values["probabilities"]))


def fit_calibrator(scores: ArrayLike, labels: ArrayLike, method: Method) -> Calibrator:
    """Fit a calibrator.

    Args:
        scores: Of pairs (P,).
        labels: Whether they are of one class (P,), both kinds present.
        method: See ``Calibrator``.

    Raises:
        ValueError: Pairs of one kind only.
    """
    array, same = finite_scores(scores, 1), np.asarray(labels, dtype=np.bool_)
    if same.all() or not same.any():
        raise ValueError("calibration needs pairs of one class and of two")
    return _fit_logistic(array, same) if method == "logistic" else _fit_isotonic(array, same)


def choose_calibrator(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, folds: int = 5, seed: int = 0
) -> tuple[Calibrator, dict[str, float]]:
    """The method with the lower cross-fitted log loss over folds of query groups, fitted on all pairs.

    Args:
        scores: Of pairs (P,).
        labels: Whether they are of one class (P,).
        groups: Query group of each pair (P,).
        folds: Folds.
        seed: Of the folds.

    Returns:
        The calibrator, and each method's log loss.
    """
    array, same = finite_scores(scores, 1), np.asarray(labels, dtype=np.bool_)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names)))[group]
    losses: dict[Method, float] = {}
    for method in METHODS:
        probabilities = np.full(len(array), np.nan)
        for held_out in range(fold.max() + 1):
            out = fold == held_out
            if not out.all() and same[~out].any() and not same[~out].all():
                probabilities[out] = fit_calibrator(array[~out], same[~out], method)(array[out])
        judged = ~np.isnan(probabilities)
        losses[method] = log_loss(probabilities[judged], same[judged])
    best = min(METHODS, key=lambda method: losses[method])
    return fit_calibrator(array, same, best), {str(method): loss for method, loss in losses.items()}


def log_loss(probabilities: Floats, labels: ArrayLike) -> float:
    """Mean negative log likelihood, probabilities kept 1e-6 from 0 and 1; infinite without any."""
    if not len(probabilities):
        return float("inf")
    clipped = np.clip(probabilities, _TINY, 1 - _TINY)
    return float(-np.log(np.where(np.asarray(labels, dtype=np.bool_), clipped, 1 - clipped)).mean())


@dataclass(frozen=True)
class Reliability:
    """Predicted against observed, over bins of equal mass.

    Attributes:
        predicted: Mean probability of each bin (B,), rising.
        observed: Share of pairs of one class in it (B,).
        counts: Pairs in it (B,).
    """

    predicted: Floats
    observed: Floats
    counts: Integers

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean distance of both, weighted by pairs."""
        return float((self.counts * np.abs(self.predicted - self.observed)).sum() / self.counts.sum())


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> Reliability:
    """Bin probabilities; equal ones share a bin, so that ties cannot be told apart.

    Args:
        probabilities: (P,).
        labels: (P,).
        bins: Bins of about equal mass.
    """
    array, same = finite_scores(probabilities, 1), np.asarray(labels, dtype=np.float64)
    bin_of = _bins(array, bins)
    counts, predicted, observed = (np.bincount(bin_of, weights=values) for values in (np.ones(len(array)), array, same))
    kept = counts > 0
    return Reliability(predicted[kept] / counts[kept], observed[kept] / counts[kept], counts[kept].astype(np.int64))


def ece_interval(
    probabilities: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    bins: int = 15,
) -> tuple[float, Interval]:
    """Expected calibration error with an interval from a bootstrap over groups; the bins stay as they are.

    A resample adds noise to every bin, whose distance only grows by it, so that most resamples lie above the value they
    are drawn around. The limits are therefore the basic ones (Davison & Hinkley 1997, section 5.2: percentiles mirrored
    at the value), cut at 0 and stretched to the value where it lies outside.

    Args:
        probabilities: (P,).
        labels: (P,).
        groups: (P,) what is drawn.
        n: Resamples.
        seed: Of the resamples.
        confidence: Coverage of the interval.
        bins: Bins of about equal mass.
    """
    array, same = finite_scores(probabilities, 1), np.asarray(labels, dtype=np.float64)
    bin_of = _bins(array, bins)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    shape = (len(names), int(bin_of.max()) + 1)
    cell = group * shape[1] + bin_of
    # what a group adds to each bin: predicted minus observed, and pairs
    gaps, counts = (
        np.bincount(cell, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
        for values in (array - same, np.ones(len(array)))
    )
    rows = np.concatenate([gaps, counts.sum(1, keepdims=True)], axis=1)
    low, high = bootstrap_totals(
        rows, lambda total: np.abs(total[:, :-1]).sum(1) / total[:, -1], names, n, seed, confidence
    )
    value = reliability(array, same, bins).ece
    return value, Interval(
        float(np.maximum(0, np.minimum(value, 2 * value - high))), float(np.maximum(value, 2 * value - low))
    )


def _bins(array: Floats, bins: int) -> Integers:
    edges = np.unique(np.quantile(array, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.asarray(np.searchsorted(edges, array, side="right"))


def shift_prior(probabilities: ArrayLike, prior: float, other: float) -> Floats:
    """Probabilities where pairs of one class are as frequent as ``other`` says (Elkan 2001, Eq. 14: the odds scale).

    Args:
        probabilities: Under ``prior``.
        prior: Share of pairs of one class where they were fitted, in (0, 1).
        other: The share where they are used, in (0, 1).
    """
    array = np.asarray(probabilities, dtype=np.float64)
    gain = other / (1 - other) * (1 - prior) / prior
    return np.asarray(array * gain / (array * gain + 1 - array))


def tempered(probabilities: ArrayLike, temperature: float) -> Floats:
    """Class probabilities (N, C) whose logits are divided by a temperature (Guo et al. 2017, Eq. 9)."""
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), np.finfo(np.float64).tiny)) / temperature
    scaled = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(scaled / scaled.sum(1, keepdims=True))


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """The temperature with the lowest log loss, between 1/20 and 20.

    Args:
        probabilities: Class probabilities (N, C).
        labels: Class numbers (N,).
    """
    from scipy.optimize import minimize_scalar

    array, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        own = tempered(array, float(np.exp(log_temperature)))[rows, truth]
        return float(-np.log(np.maximum(own, _TINY)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(20), np.log(20)), method="bounded").x))


def threshold_at_fmr(scores: ArrayLike, labels: ArrayLike, rate: float) -> float:
    """The lowest threshold whose false match rate on these pairs is at most ``rate``; accepted is score >= threshold.

    Args:
        scores: Of pairs (P,).
        labels: Whether they are of one class (P,).
        rate: Share of pairs of two classes that may be accepted, in [0, 1).

    Raises:
        ValueError: No pair of two classes, or a rate outside [0, 1).
    """
    array, same = finite_scores(scores, 1), np.asarray(labels, dtype=np.bool_)
    if not 0 <= rate < 1 or same.all():
        raise ValueError(f"rate = {rate}: must lie in [0, 1), with pairs of two classes among the pairs")
    falling = np.sort(array[~same])[::-1]
    allowed = int(rate * len(falling) + 1e-9)
    return float(np.nextafter(falling[allowed], np.inf))


def _fit_logistic(scores: Floats, labels: np.ndarray) -> Calibrator:
    from scipy.optimize import minimize

    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    x = (scores - centre) / spread
    # Platt's targets keep the slope finite where the kinds are separable
    positive, negative = labels.sum(), (~labels).sum()
    target = np.where(labels, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = np.exp(parameters[0]) * x + parameters[1]
        residual = 0.5 * (1 + np.tanh(0.5 * z)) - target
        value = np.logaddexp(0, z) - target * z
        return float(value.mean()), np.array([(residual * x).mean() * np.exp(parameters[0]), residual.mean()])

    slope, offset = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B").x
    gain = float(np.exp(slope)) / spread
    return Calibrator("logistic", (gain, float(offset) - gain * centre))


def _fit_isotonic(scores: Floats, labels: np.ndarray) -> Calibrator:
    from sklearn.isotonic import IsotonicRegression

    fit = IsotonicRegression(y_min=_TINY, y_max=1 - _TINY, out_of_bounds="clip").fit(scores, labels)
    return Calibrator("isotonic", tuple(map(float, fit.X_thresholds_)), tuple(map(float, fit.y_thresholds_)))
