"""Embedding of images by a model folder of any kind, for the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinfolio.retrieval.embed import Forward


NETS = ("numpy", "opencv-python-headless", "pillow", "safetensors", "timm", "torch")
PROGRAMS = ("faiss-cpu", "imagehash", "mahotas", "onnxruntime")
"""Packages that classical and joined systems need besides."""


@dataclass(frozen=True)
class Embedding:
    """A model folder as a function.

    Attributes:
        embed: uint8 (N, H, W, C) -> float32 (N, D).
        fingerprint: SHA-256 (hex) over what makes the embeddings.
        packages: Distributions that it runs on.
    """

    embed: Forward
    fingerprint: str
    packages: tuple[str, ...]


def open_embedding(folder: Path) -> Embedding:
    """Open a model folder: a net by torch, a classical system or joined systems as they are served.

    Raises:
        ModelError: The folder holds no usable model.
    """
    from twinfolio.models import bundle

    if (folder / bundle.CONFIG_FILE).is_file():
        return Embedding(bundle.load_model(folder).embed_uint8, bundle.fingerprint(folder), NETS)
    from twinfolio.serving.loading import load_program

    program = load_program(folder)
    return Embedding(program.embed, program.fingerprint, (*NETS, *PROGRAMS))
