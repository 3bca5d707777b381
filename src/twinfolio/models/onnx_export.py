"""The embedder as an ONNX program, so that tools start without torch."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from twinfolio.errors import ModelError
from twinfolio.models.bundle import Model
from twinfolio.models.distances import unit_vectors
from twinfolio.models.embedder import Embedder

PROGRAM = "embedder.onnx"
"""Images (N, C, H, W) float32 in [0, 1] -> ``embeddings`` (N, D) float32; N is free.

An average-pooled, linear embedder also gives ``places`` (N, D, h, w), whose mean is the embedding before normalisation.
"""
TOLERANCE = 1e-4
"""Largest difference of an entry from torch's, relative to the image's largest entry."""


class _WithPlaces(nn.Module):
    """An embedder that also says what each place adds."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.embedder.features(images)
        return self.embedder.embed_features(features), self.embedder.places(features)


def export_embedder(model: Model, folder: Path, size: tuple[int, int]) -> Path:
    """Write trunk, pooling and projection as one ONNX file, and check that it gives what torch gives.

    Args:
        model: On the CPU, in evaluation mode.
        folder: The model folder.
        size: Height and width of the store's rows.

    Raises:
        ModelError: The program's embeddings or places differ from torch's.
    """
    path = folder / PROGRAM
    embedder = model.embedder
    outputs = ["embeddings", "places"] if embedder.has_places else ["embeddings"]
    channels = model.config["channels"]
    images = torch.rand((2, channels, *size), generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # advice to torch's own developers
        program = torch.onnx.export(
            _WithPlaces(embedder).eval() if embedder.has_places else embedder, (images,), dynamo=True,
            input_names=["images"], output_names=outputs,
            dynamic_shapes={"images": {0: torch.export.Dim("n", min=1)}},
        )  # fmt: skip
    assert program is not None  # dynamo=True always gives one
    part = path.with_suffix(".part")
    program.save(part, external_data=False)
    _check(embedder, part, images)
    part.replace(path)
    return path


def _check(embedder: Embedder, path: Path, images: Tensor) -> None:
    """Compare on batches of one, two and three images; the places must also average to the embeddings."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (images[:1], images, torch.cat([images, images[:1].flip(3)])):
        with torch.inference_mode():
            features = embedder.features(batch)
            expected = {"embeddings": embedder.embed_features(features)}
            if embedder.has_places:
                expected["places"] = embedder.places(features)
        got = dict(zip(expected, session.run(list(expected), {"images": batch.numpy()}), strict=True))
        _compare(path, got, {name: values.numpy() for name, values in expected.items()})
        if embedder.has_places:
            mean = torch.from_numpy(got["places"]).mean((2, 3))
            whole = unit_vectors(mean) if embedder.normalise else mean
            _compare(path, {"mean of places": whole.numpy()}, {"mean of places": expected["embeddings"].numpy()})


def _compare(path: Path, got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, values in expected.items():
        scale = np.abs(values).max(tuple(range(1, values.ndim)), keepdims=True)
        same_shape = got[name].shape == values.shape
        if not same_shape or (np.abs(got[name] - values) > TOLERANCE * np.maximum(scale, 1e-6)).any():
            raise ModelError(f"{path}: the ONNX program's {name} differ from torch's", "update onnxruntime and torch")
