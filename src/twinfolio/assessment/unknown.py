"""Images of classes held out of training: every second class sets the threshold, the others are the test of it.

A known class that is merely left out of the gallery is a poor stand-in: training has pushed its images away from the
others', so that a threshold set on it lets far more than the promised share of truly new classes pass.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from twinfolio.assessment.images import ImageSet, originals
from twinfolio.data.store import Store


def unknown_images(store: Store, purpose: Literal["threshold", "test"]) -> ImageSet | None:
    """The original images of one half of the held-out classes.

    Args:
        store: The split ``unknown``.
        purpose: ``threshold``: the second, fourth, ... class by name; ``test``: the first, third, ...

    Returns:
        None where that half has no class.
    """
    classes = np.unique(store.labels)
    half = classes[1::2] if purpose == "threshold" else classes[::2]
    return originals(store, half) if len(half) else None
