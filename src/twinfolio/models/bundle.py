"""The folder a trained model lives in: ``model.safetensors`` and ``model.json``, no pickles."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from twinfolio.errors import ModelError
from twinfolio.models.embedder import ClassLayer, Embedder
from twinfolio.models.heads import Head, build_head
from twinfolio.models.trunks import TrunkInfo, create_trunk

WEIGHTS_FILE = "model.safetensors"
"""Weights, under ``embedder.``, ``head.`` and ``class_layer.``."""
CONFIG_FILE = "model.json"
"""What the weights belong to."""
SCORE_ROWS = 1024
"""Rows of the first argument ``Model.scores`` handles at a time."""


@dataclass
class Model:
    """A model ready for use.

    Attributes:
        embedder: Images to embeddings.
        head: Embeddings to scores; None without one.
        class_layer: Embeddings to class logits, where there is one.
        config: As saved; holds ``kind``, ``classes``, ``pretrained`` and what the parts were built with.
        device: Where the parts are.
    """

    embedder: Embedder
    head: Head | None
    class_layer: ClassLayer | None
    config: dict[str, Any]
    device: torch.device

    def embed_uint8(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings (B, D) of images (B, H, W, C) as the store keeps them."""
        with torch.inference_mode():
            return _to_numpy(self.embedder(self._to_float(images)))

    def class_logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class logits (B, classes) of images (B, H, W, C).

        Raises:
            ModelError: The model has no class layer.
        """
        if self.class_layer is None:
            raise ModelError("the model has no class layer", "use a classifier, or train with class_weight above 0")
        with torch.inference_mode():
            return _to_numpy(self.class_layer(self.embedder(self._to_float(images))))

    def scores(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """The head's logits (N, M) for all pairs of embeddings (N, D) and (M, D)."""
        head, second = self._head(), self._tensor(y)
        with torch.inference_mode():
            blocks = [_to_numpy(head.pairwise(rows, second)) for rows in torch.split(self._tensor(x), SCORE_ROWS)]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(y)), np.float32)

    def paired_scores(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """The head's logits (N,) for corresponding rows of embeddings (N, D) and (N, D)."""
        with torch.inference_mode():
            return _to_numpy(self._head().paired(self._tensor(x), self._tensor(y)))

    def _head(self) -> Head:
        if self.head is None:
            raise ModelError("the model has no head", "use a Siamese model's folder")
        return self.head

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.array(values, np.float32)).to(self.device)

    def _to_float(self, images: NDArray[np.uint8]) -> Tensor:
        tensor = torch.from_numpy(np.array(images)).to(self.device)
        return tensor.permute(0, 3, 1, 2).float() / 255  # the store's rows are channels-last in memory, and stay so


def save_model(
    folder: Path, *, embedder: Embedder, head: Head | None, class_layer: ClassLayer | None, config: dict[str, Any]
) -> None:
    """Write a model's folder.

    Args:
        folder: Made where it is missing; files of the same names are replaced.
        embedder: Saved whole.
        head: Saved where there is one.
        class_layer: Saved where there is one.
        config: Plain values to keep (kind, classes, threshold, ...); what the parts were built with is added.
    """
    config = {**config, **_describe(embedder, head, class_layer)}
    write_parts(folder, {"embedder": embedder, "head": head, "class_layer": class_layer}, config)


def write_parts(folder: Path, parts: Mapping[str, nn.Module | None], config: Mapping[str, Any]) -> None:
    """Write weights and config, each under a temporary name first.

    Args:
        folder: Made where it is missing; files of the same names are replaced.
        parts: Name -> what is saved; None is passed over.
        config: Plain values to keep.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, part in parts.items()
        if part is not None
        for key, value in part.state_dict().items()
    }
    weights, text = folder / f"{WEIGHTS_FILE}.part", folder / f"{CONFIG_FILE}.part"
    save_file(tensors, weights)
    weights.chmod(0o666 & ~_umask())
    text.write_text(json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    weights.replace(folder / WEIGHTS_FILE)
    text.replace(folder / CONFIG_FILE)


def load_model(folder: Path, device: str | torch.device = "cpu") -> Model:
    """Read a model's folder; needs no network.

    Args:
        folder: As ``save_model`` wrote it.
        device: Where to put the parts.

    Returns:
        The model, in evaluation mode, with exactly the saved model's outputs.

    Raises:
        ModelError: No model there, or its two files do not fit each other.
    """
    config = read_config(folder)
    embedder, head, class_layer = _build(config)
    read_parts(folder, {"embedder": embedder, "head": head, "class_layer": class_layer}, device)
    return Model(embedder, head, class_layer, config, torch.device(device))


def read_parts(folder: Path, parts: Mapping[str, nn.Module | None], device: str | torch.device = "cpu") -> None:
    """Fill parts with the weights that ``write_parts`` wrote, and put them on a device in evaluation mode.

    Args:
        folder: As ``write_parts`` wrote it.
        parts: Name -> what is filled; None is passed over.
        device: Where to put them.

    Raises:
        ModelError: No weights there, or those of something else.
    """
    try:
        state = load_file(folder / WEIGHTS_FILE)
        for name, part in parts.items():
            if part is not None:
                prefix = f"{name}."
                part.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    except Exception as error:  # a missing, cut or foreign file: safetensors and torch raise various kinds
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{folder / WEIGHTS_FILE}: {reason}", "run the stage that writes this folder again") from None
    for part in parts.values():
        if part is not None:
            part.to(device).eval().requires_grad_(False)


def read_config(folder: Path) -> dict[str, Any]:
    """A model folder's ``model.json``.

    Raises:
        ModelError: It is not there or not JSON.
    """
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder}: no model here ({CONFIG_FILE} is missing)", "give a model folder") from None
    except ValueError as error:
        raise ModelError(f"{folder / CONFIG_FILE}: not JSON ({error})", "write the folder anew") from None
    return config


def fingerprint(folder: Path) -> str:
    """SHA-256 (hex) over a model folder's weights and config."""
    digest = hashlib.sha256()
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _describe(embedder: Embedder, head: Head | None, class_layer: ClassLayer | None) -> dict[str, Any]:
    info = embedder.info
    return {
        "trunk": info.name,
        "trunk_options": dict(info.options),
        "features": info.features,
        "mean": list(info.mean),
        "std": list(info.std),
        "pretrained": info.pretrained,
        "input_size": list(info.input_size),
        "channels": len(info.mean),
        "pooling": embedder.pooling,
        "embedding": embedder.embedding,
        "hidden": list(embedder.hidden),
        "activation": embedder.activation,
        "normalise": embedder.normalise,
        "size": None if embedder.size is None else list(embedder.size),
        "head": None if head is None else head.kind,
        "distance": None if head is None else head.distance,
        "class_layer": None if class_layer is None else [class_layer.out_features, class_layer.gain],
    }


def _build(config: dict[str, Any]) -> tuple[Embedder, Head | None, ClassLayer | None]:
    options = config.get("trunk_options", {})  # a folder of an earlier version has neither these nor hidden layers
    trunk, _ = create_trunk(config["trunk"], "none", config["channels"], options)
    info = TrunkInfo(
        config["trunk"],
        config["features"],
        tuple(config["mean"]),
        tuple(config["std"]),
        config["pretrained"],
        (config["input_size"][0], config["input_size"][1]),
        options,
    )
    size = config["size"]
    embedder = Embedder(
        trunk,
        info,
        pooling=config["pooling"],
        embedding=config["embedding"],
        hidden=config.get("hidden", ()),
        normalise=config["normalise"],
        size=None if size is None else (size[0], size[1]),
        activation=config["activation"],
    )
    head = None if config["head"] is None else build_head(config["head"], config["distance"], embedder.dim)
    layer = config["class_layer"]
    return embedder, head, None if layer is None else ClassLayer(embedder.dim, layer[0], layer[1])


def _to_numpy(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.float().cpu().numpy()
    return array


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
