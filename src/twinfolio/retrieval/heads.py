"""From a model folder's head to its scorer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twinfolio.errors import ModelError
from twinfolio.retrieval.fusion import FusionScorer, FusionWeights
from twinfolio.retrieval.scorers import DistanceScorer, Floats, Scorer, WeightedScorer


def build_scorer(kind: str, distance: str, state: Mapping[str, Floats], gallery: Floats) -> Scorer:
    """A head's scorer for a gallery.

    Args:
        kind: ``distance``, ``weighted`` or ``fusion``.
        distance: ``l1``, ``l2`` or ``cosine``.
        state: The head's tensors by name.
        gallery: (M, D).

    Raises:
        ModelError: Unknown kind.
    """
    if kind == "distance":
        unit = 1 / math.sqrt(gallery.shape[1]) if distance == "l1" else 1.0
        gain = math.exp(float(state["log_scale"])) * unit
        return DistanceScorer(gallery, distance, float(state["offset"]), gain)
    if kind == "weighted":
        return WeightedScorer(gallery, distance, np.asarray(state["weight"], np.float32), float(state["bias"]))
    if kind == "fusion":
        return FusionScorer(gallery, distance, FusionWeights.of(state))
    raise ModelError(f"head = {kind!r} is unknown", "choose one of distance, weighted, fusion")


def read_part(folder: Path, part: str) -> dict[str, Floats]:
    """The tensors of one part of a model folder (``head``, ``class_layer``) by name."""
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith(f"{part}.")]  # noqa: SIM118  # no mapping
        return {name.removeprefix(f"{part}."): file.get_tensor(name) for name in names}
