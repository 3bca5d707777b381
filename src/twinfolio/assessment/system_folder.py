"""A system of any kind from the folder that keeps it: a net, a classical encoder, or several joined."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from twinfolio.assessment.classical import load_classical
from twinfolio.assessment.joined import joined_system
from twinfolio.assessment.systems import System, trained_system
from twinfolio.descriptors import encoder
from twinfolio.errors import ModelError
from twinfolio.retrieval import joined
from twinfolio.retrieval.heads import build_scorer, read_part
from twinfolio.retrieval.scorers import BuildScorer, distance_scorer


def load_system(folder: Path, name: str, device: str = "cpu", *, workers: int = 1, cache: Path | None = None) -> System:
    """Read what ``System.save`` wrote.

    Args:
        folder: Holds ``joined.json`` and its members, or ``encoder.json``, or ``model.json`` and weights.
        name: The system's name.
        device: Where nets compute.
        workers: Threads that look for key points.
        cache: SQLite file of key points by content; None keeps none.

    Raises:
        ModelError: The folder holds no system, or a file is damaged.
    """
    if (folder / joined.JSON).is_file():
        join = joined.load_join(folder)
        below = folder / joined.MEMBERS
        members = [load_system(below / member, member, device, workers=workers, cache=cache) for member in join.names]
        return joined_system(name, join, members)
    if (folder / encoder.JSON).is_file():
        return replace(load_classical(folder, workers=workers, cache=cache), name=name)
    return trained_system(name, folder, device)


def head_builder(folder: Path) -> BuildScorer:
    """Function from a gallery to the scorer of a system's folder; without torch.

    Raises:
        ModelError: The model has no head.
    """
    if (folder / joined.JSON).is_file():
        return distance_scorer("cosine")
    if (folder / encoder.JSON).is_file():
        return distance_scorer(encoder.Encoder.load(folder).spec.distance)
    config: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if config["head"] is None:
        raise ModelError(f"{folder}: this model has no head", "run the stage that writes this folder again")
    state = read_part(folder, "head")
    return lambda gallery: build_scorer(config["head"], config["distance"], state, gallery)
