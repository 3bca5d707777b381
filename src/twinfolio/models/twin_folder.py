"""The folder a twin lives in: a convolutional one is kept as every Siamese model, the ORB twin by weights and size."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from twinfolio.errors import ModelError
from twinfolio.models.bundle import CONFIG_FILE, WEIGHTS_FILE, load_model, read_config, save_model
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
    folder.mkdir(parents=True, exist_ok=True)
    config = {"kind": _ORB, "key_points": twin.key_points}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    save_file({name: value.detach().cpu().contiguous() for name, value in twin.state_dict().items()},
              folder / WEIGHTS_FILE)  # fmt: skip


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
    try:
        twin.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except Exception as error:  # a missing, cut or foreign file: safetensors and torch raise various kinds
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{folder / WEIGHTS_FILE}: {reason}", "train it again") from None
    return twin.to(device).eval().requires_grad_(False)
