"""The folder a twin lives in: a convolutional one is kept as every Siamese model, the ORB twin by weights and size."""

from __future__ import annotations

from pathlib import Path

import torch

from twinfolio.errors import ModelError
from twinfolio.models.bundle import load_model, read_config, read_parts, save_model, write_parts
from twinfolio.models.orb_siamese import OrbSiamese
from twinfolio.models.twin import ConvTwin, Twin

_ORB = "orb_siamese"


def save_twin(folder: Path, twin: Twin) -> None:
    """Write a twin's weights and what they belong to."""
    if isinstance(twin, ConvTwin):
        save_model(folder, embedder=twin.embedder, head=twin.head, class_layer=None, config={"kind": "judged_pairs"})
        return
    if not isinstance(twin, OrbSiamese):
        raise TypeError(f"{type(twin).__name__} has no folder")
    write_parts(folder, {"twin": twin}, {"kind": _ORB, "key_points": twin.key_points})


def load_twin(folder: Path, device: str | torch.device = "cpu") -> Twin:
    """Read what ``save_twin`` wrote, ready to compare.

    Args:
        folder: The folder.
        device: Where to put it.

    Raises:
        ModelError: It holds no twin.
    """
    config = read_config(folder)
    if config.get("kind") != _ORB:
        model = load_model(folder, device)
        if model.head is None:
            raise ModelError(f"{folder}: a classifier has no head to compare two images with", "name a twin")
        return ConvTwin(model.embedder, model.head).eval()
    twin = OrbSiamese(int(config["key_points"]))
    read_parts(folder, {"twin": twin}, device)
    return twin
