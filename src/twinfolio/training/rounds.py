"""Training in rounds: some steps, then a validation, until validation stops improving or a cap is reached."""

from __future__ import annotations

import math

MOST_ROUNDS = 1000
"""Rounds of a training without a cap."""
LEAST_STEPS = 25
"""Fewest steps of a round: below it validation moves by chance."""
IMAGES_A_VALIDATED_ROW = 3
"""Images trained on for each row that a validation embeds, so that validation takes a quarter of the time or less."""
LEAST_ROUNDS = 4
"""Fewest rounds of a cap, however slow the machine is: a training cut shorter has learned next to nothing."""
LEAST_GAIN = 1e-3
"""A smaller rise of the validated metric is none to early stopping; the best weights are kept all the same."""

PERFECT = 1 - 1e-6
"""Validation above this is without a fault: whether more training helps can no longer be told."""


def round_steps(train_rows: int, validated_rows: int, batch_rows: int) -> int:
    """Steps from one validation to the next: about a pass over the train rows, more where validation is dear.

    Args:
        train_rows: Rows of the train split.
        validated_rows: Rows that a validation embeds.
        batch_rows: Rows a step over all devices.
    """
    images = max(train_rows, IMAGES_A_VALIDATED_ROW * validated_rows)
    return max(LEAST_STEPS, math.ceil(images / batch_rows))


def capped_rounds(minutes: float, seconds_per_step: float, steps: int) -> int:
    """Whole rounds that fit into a time, at least ``LEAST_ROUNDS``.

    Args:
        minutes: The time.
        seconds_per_step: Of training alone; a third is added for validation.
        steps: Steps of a round.
    """
    return max(LEAST_ROUNDS, int(60 * minutes / (seconds_per_step * steps * (1 + 1 / IMAGES_A_VALIDATED_ROW))))
