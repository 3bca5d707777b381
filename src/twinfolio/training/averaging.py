"""Moving averages of the weights, which are validated and kept in place of the weights themselves."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning.callbacks import WeightAveraging

MOST_DECAY = 0.999
"""Largest decay a step of ``GrowingAverage``."""


class GrowingAverage(WeightAveraging):
    """Exponential moving average over about the last ninth of all steps, whatever their number.

    The decay of step n is min((1 + n) / (10 + n), .999): an average that forgets the start at once and grows longer
    as training does (a power-function average, Karras et al. 2024, section 3.1). Batch statistics are averaged too.
    """

    def __init__(self) -> None:
        super().__init__(avg_fn=growing_average)


def growing_average(average: torch.Tensor, current: torch.Tensor, updates: Any) -> torch.Tensor:
    """The average after one more step.

    Args:
        average: Of the weights so far.
        current: Weights after the step.
        updates: Number of updates before this one, at least 1.
    """
    decay = min((1 + float(updates)) / (10 + float(updates)), MOST_DECAY)
    return average + (current - average) * (1 - decay)
