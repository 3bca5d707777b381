"""The class of an image by the class layer."""

from __future__ import annotations

import numpy as np

from twinfolio.evaluation.calibration import tempered
from twinfolio.retrieval.scorers import Floats
from twinfolio.serving.program import Program


def most_probable(program: Program, vectors: Floats, temperature: float | None, top: int) -> list[tuple[str, float]]:
    """The most probable classes of one image, best first; ties in the order of the class list.

    Args:
        program: The model.
        vectors: (T, D), the image's tiles: its probability is the mean over them.
        temperature: Of the class logits; None: as training left them.
        top: Classes wanted; fewer come where the model knows fewer.

    Raises:
        ModelError: The model has no class layer.
    """
    # the mean first, then the temperature: as it was fitted on validation and judged on test
    shares = tempered(program.probabilities(vectors).mean(0, keepdims=True), temperature or 1.0)[0]
    best = np.argsort(-shares, kind="stable")[:top]
    return [(program.classes[place], float(shares[place])) for place in best]
