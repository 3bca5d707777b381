"""The embedder as an ONNX program, so that tools start without torch."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import torch

from twinfolio.errors import ModelError
from twinfolio.models.bundle import Model

PROGRAM = "embedder.onnx"
"""Images (N, C, H, W) float32 in [0, 1] -> embeddings (N, D) float32; N is free."""
TOLERANCE = 1e-4
"""Largest difference of an embedding's entry from torch's, relative to the embedding's largest entry."""


def export_embedder(model: Model, folder: Path, size: tuple[int, int]) -> Path:
    """Write trunk, pooling and projection as one ONNX file, and check that it gives torch's embeddings.

    Args:
        model: On the CPU, in evaluation mode.
        folder: The model folder.
        size: Height and width of the store's rows.

    Raises:
        ModelError: The program's embeddings differ from torch's.
    """
    path = folder / PROGRAM
    channels = model.config["channels"]
    images = torch.rand((2, channels, *size), generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # advice to torch's own developers
        program = torch.onnx.export(
            model.embedder, (images,), dynamo=True, input_names=["images"], output_names=["embeddings"],
            dynamic_shapes={"images": {0: torch.export.Dim("n", min=1)}},
        )  # fmt: skip
    assert program is not None  # dynamo=True always gives one
    part = path.with_suffix(".part")
    program.save(part, external_data=False)
    _check(model, part, images)
    part.replace(path)
    return path


def _check(model: Model, path: Path, images: torch.Tensor) -> None:
    """Compare on batches of one, two and three images."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (images[:1], images, torch.cat([images, images[:1].flip(3)])):
        with torch.inference_mode():
            expected = model.embedder(batch).numpy()
        (got,) = session.run(None, {"images": batch.numpy()})
        scale = np.abs(expected).max(1, keepdims=True)
        if got.shape != expected.shape or (np.abs(got - expected) > TOLERANCE * np.maximum(scale, 1e-6)).any():
            raise ModelError(
                f"{path}: the ONNX program's embeddings differ from torch's", "update onnxruntime and torch"
            )
