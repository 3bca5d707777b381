import torch
from hypothesis import given
from hypothesis import strategies as st

from twinfolio.training.averaging import growing_average


def average_of(values):
    average = torch.tensor(float(values[0]))
    for n, value in enumerate(values[1:], start=1):
        average = growing_average(average, torch.tensor(float(value)), torch.tensor(n))
    return float(average)


@given(st.floats(-100, 100), st.integers(2, 50))
def test_the_average_of_equal_weights_is_these_weights(value, n):
    assert abs(average_of([value] * n) - value) < 1e-4


def test_the_start_is_forgotten_within_a_few_steps():
    assert average_of([1.0] + [0.0] * 40) < 1e-3


def test_the_average_reaches_back_a_ninth_of_all_steps():
    for steps in (90, 900):
        weights = [0.0] * (steps - steps // 9) + [1.0] * (steps // 9)
        assert 0.55 < average_of(weights) < 0.75  # 1 - 1/e
