import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.evaluation.calibration import (
    METHODS,
    Calibrator,
    choose_calibrator,
    ece_interval,
    fit_calibrator,
    fit_temperature,
    log_loss,
    reliability,
    shift_prior,
    tempered,
    threshold_at_fmr,
)


def pairs(n=4000, slope=2.0, offset=-1.0, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, n)
    return scores, rng.random(n) < 1 / (1 + np.exp(-(slope * scores + offset)))


def test_the_logistic_fit_finds_the_curve_the_labels_were_drawn_from():
    slope, offset = fit_calibrator(*pairs(40_000), "logistic").scores
    assert (slope, offset) == (pytest.approx(2, abs=0.1), pytest.approx(-1, abs=0.1))


@pytest.mark.parametrize("method", METHODS)
def test_both_methods_calibrate_new_pairs(method):
    fit = fit_calibrator(*pairs(seed=1), method)
    scores, labels = pairs(seed=2)
    assert reliability(fit(scores), labels).ece < 0.03
    raw = 1 / (1 + np.exp(-3 * scores))
    assert log_loss(fit(scores), labels) < log_loss(raw, labels)


@pytest.mark.parametrize("method", METHODS)
def test_separable_pairs_give_a_finite_rising_curve(method):
    fit = fit_calibrator([1.0, 2, 3, 4], [False, False, True, True], method)
    values = fit(np.linspace(-100, 100, 50))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
    assert 0 <= values[0] < 0.5 < values[-1] <= 1


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(2, 60), method=st.sampled_from(METHODS))
def test_a_calibrator_never_reverses_two_scores_and_survives_json(seed, n, method):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=n), 1)
    labels = np.r_[True, False, rng.random(n - 2) < 0.5]
    fit = fit_calibrator(scores, labels, method)
    assert (np.diff(fit(np.sort(scores))) >= -1e-12).all()
    again = Calibrator.from_json(json.loads(json.dumps(fit.to_json())))
    assert np.array_equal(again(scores), fit(scores))


def test_the_method_is_chosen_by_pairs_of_other_groups():
    scores, labels = pairs(300)
    fit, losses = choose_calibrator(scores, labels, np.arange(300) // 10)
    assert fit.method == min(losses, key=losses.get)
    steps = np.repeat([0.0, 1, 2, 3], 500)
    odd = np.random.default_rng(0).random(2000) < np.repeat([0.1, 0.5, 0.5, 0.9], 500)
    assert choose_calibrator(steps, odd, np.arange(2000) // 10)[0].method == "isotonic"


def test_pairs_of_one_kind_cannot_be_calibrated():
    with pytest.raises(ValueError, match="of one class and of two"):
        fit_calibrator([1.0, 2.0], [True, True], "logistic")


def test_the_calibration_error_by_hand():
    found = reliability([0.2] * 10 + [0.9] * 10, [1] * 5 + [0] * 5 + [1] * 9 + [0], bins=2)
    assert found.counts.tolist() == [10, 10]
    assert found.ece == pytest.approx((0.3 + 0) / 2)


def test_the_interval_holds_the_value_of_another_sample():
    scores, labels = pairs(2000, seed=3)
    probabilities = 1 / (1 + np.exp(-scores))
    value, interval = ece_interval(probabilities, labels, np.arange(2000) // 5, n=200)
    assert interval.low < value < interval.high
    other, same = pairs(20_000, seed=4)
    assert interval.low < reliability(1 / (1 + np.exp(-other)), same).ece < interval.high


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 9999), rate=st.sampled_from([0.0, 0.01, 0.1, 0.5]), n=st.integers(1, 50))
def test_the_threshold_keeps_its_rate_and_the_next_lower_score_would_not(seed, rate, n):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=n + 3), 1)
    labels = np.r_[False, rng.random(n + 2) < 0.5]
    threshold = threshold_at_fmr(scores, labels, rate)
    strangers = scores[~labels]
    assert (strangers >= threshold).mean() <= rate
    lower = strangers[strangers < threshold]
    assert (strangers >= lower.max()).mean() > rate


def test_the_limits_mirror_the_errors_of_the_pairs_each_resample_drew():
    scores, labels = pairs(120, seed=5)
    probabilities, groups = 1 / (1 + np.exp(-scores)), np.arange(120) // 4
    value, interval = ece_interval(probabilities, labels, groups, n=300, bins=4)
    edges = np.quantile(probabilities, [0.25, 0.5, 0.75])
    draws = np.random.default_rng(0).integers(30, size=(300, 30))
    slow = []
    for drawn in draws:
        rows = np.concatenate([np.flatnonzero(groups == group) for group in drawn])
        bins = np.searchsorted(edges, probabilities[rows], side="right")
        gaps = [abs((probabilities[rows] - labels[rows])[bins == b].sum()) for b in range(4)]
        slow.append(sum(gaps) / len(rows))
    low, high = np.quantile(slow, [0.025, 0.975])
    assert low < value < high
    assert interval == pytest.approx((max(0, 2 * value - high), 2 * value - low))
    assert value == pytest.approx(reliability(probabilities, labels, 4).ece)


@pytest.mark.parametrize("seed", range(20))
def test_an_honest_error_lies_inside_its_interval_though_resamples_lie_above_it(seed):
    scores, labels = pairs(120, seed=seed)
    value, interval = ece_interval(1 / (1 + np.exp(1 - 2 * scores)), labels, np.arange(120) // 4, n=100)
    assert 0 <= interval.low <= value <= interval.high < 0.3
    assert interval.low < 0.05  # the truth is 0


def test_one_group_gives_no_interval_of_the_error():
    value, interval = ece_interval([0.2, 0.9], [False, True], ["a", "a"])
    assert value > 0
    assert np.isnan(interval).all()


@given(p=st.floats(0.01, 0.99), prior=st.floats(0.05, 0.95), other=st.floats(0.05, 0.95))
def test_a_shifted_prior_is_bayes_rule_and_turns_back(p, prior, other):
    likelihood_ratio = p / (1 - p) * (1 - prior) / prior
    shifted = float(shift_prior(p, prior, other))
    assert shifted == pytest.approx(likelihood_ratio * other / (likelihood_ratio * other + 1 - other))
    assert float(shift_prior(shifted, other, prior)) == pytest.approx(p)


def test_a_temperature_undoes_what_made_probabilities_too_sure():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 5))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(5, p=row) for row in honest])
    sure = tempered(honest, 1 / 3)
    assert fit_temperature(sure, labels) == pytest.approx(3, rel=0.1)
    np.testing.assert_allclose(tempered(sure, 3), honest, rtol=1e-6)


def test_a_rate_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="must lie in"):
        threshold_at_fmr([1.0], [False], 1.0)
