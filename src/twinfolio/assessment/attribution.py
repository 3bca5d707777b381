"""Which places of an image carry the score of a pair, under any head: the exact split, Grad-CAM, integrated gradients.

Every map is at the resolution of the trunk's places (h, w), so that the deletion test treats all kinds alike; positive
places speak for the match. The target is the head's logit of the pair, as a function of one image; the other one's
embedding stands still.

Sources: Selvaraju et al. 2017, Eq. 1-2 (Grad-CAM, here without the final ReLU: what speaks against the match is kept);
Sundararajan et al. 2017, Eq. 1 and Proposition 1 (integrated gradients and their completeness); both by Captum.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twinfolio.errors import ModelError
from twinfolio.models.bundle import Model
from twinfolio.models.embedder import Embedder
from twinfolio.models.heads import Head
from twinfolio.retrieval.places import Split, head_split

EXACT, GRADCAM, INTEGRATED = "exact split", "Grad-CAM", "integrated gradients"
STEPS = 32
"""Points of the path integral (Gauss-Legendre)."""
BATCH = 16

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]


def available_kinds(model: Model) -> tuple[str, ...]:
    """The kinds of maps a Siamese model has; the exact split only where its score is a sum over places."""
    return (GRADCAM, INTEGRATED) if model_split(model) is None else (EXACT, GRADCAM, INTEGRATED)


def model_split(model: Model) -> Split | None:
    """How the head's score splits into places, or None; see ``head_split``."""
    head = model.head
    if head is None or not model.embedder.has_places:
        return None
    weight = head.state_dict()["weight"].cpu().numpy() if head.kind == "weighted" else None
    return head_split(head.kind, head.distance, normalise=model.embedder.normalise, weight=weight)


def attribution_maps(model: Model, kind: str, first: Image, second: Image) -> tuple[Floats, Floats]:
    """Maps (h, w) of both images of a pair.

    Args:
        model: A Siamese model.
        kind: One of ``available_kinds``.
        first: uint8 (H, W, C), a row as the store has it.
        second: The other row.

    Raises:
        ModelError: The model has no head, or no map of this kind.
    """
    return attribution_map(model, kind, first, second), attribution_map(model, kind, second, first)


def attribution_map(model: Model, kind: str, image: Image, other: Image) -> Floats:
    """The map (h, w) of ``image`` alone, in its match with ``other``; see ``attribution_maps``."""
    if model.head is None:
        raise ModelError("the model is a classifier and has no head", "use a Siamese model's folder")
    if kind not in available_kinds(model):
        raise ModelError(
            f"no map of kind {kind!r} for this model", f"choose one of {', '.join(available_kinds(model))}"
        )
    if kind == EXACT:
        return _exact(model, image, other)
    score = _Score(model.embedder, model.head, torch.from_numpy(model.embed_uint8(other[None])).to(model.device))
    return {GRADCAM: _gradcam, INTEGRATED: _integrated}[kind](score, model.device, image)


def emptied(image: Image) -> Image:
    """The image with its writing wiped out: a Gaussian blur of a sixteenth of its side.

    Paper, ink's overall darkness and layout stay; letters do not. It stands for "not there" in integrated gradients and
    in the deletion test alike (the blurred canvas of Petsiuk et al. 2018; a flat colour would add edges of its own).
    """
    blurred = cv2.GaussianBlur(image, (0, 0), max(image.shape[:2]) / 16, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.uint8).reshape(image.shape)


def pixels_to_places(pixels: NDArray[np.float64], places: tuple[int, int]) -> NDArray[np.float64]:
    """Sums (h, w) of pixel values (H, W) over the cells of ``cell_of_pixels``."""
    out = np.zeros(places)
    np.add.at(out, cell_of_pixels(pixels.shape, places), pixels)
    return out


def cell_of_pixels(size: tuple[int, ...], places: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row (H, 1) and column (1, W) of the place whose cell each pixel of (H, W) lies in; cells are nearly equal."""
    rows, columns = (np.arange(n) * p // n for n, p in zip(size[:2], places, strict=True))
    return rows[:, None], columns[None]


class _Features(nn.Module):
    """The trunk as a layer of its own, which Grad-CAM can listen to."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, images: Tensor) -> Tensor:
        return self.embedder.features(images)


class _Score(nn.Module):
    """The head's logit (N,) of images (N, C, H, W) with one other embedding (1, D)."""

    def __init__(self, embedder: Embedder, head: Head, other: Tensor) -> None:
        super().__init__()
        self.features, self.embed, self.head, self.other = _Features(embedder), embedder.embed_features, head, other

    def forward(self, images: Tensor) -> Tensor:
        x = self.embed(self.features(images))
        return self.head.paired(x, self.other.expand_as(x))


def _exact(model: Model, image: Image, other: Image) -> Floats:
    split = model_split(model)
    assert split is not None  # EXACT is available
    with torch.inference_mode():
        features = model.embedder.features(_to_tensor(np.stack([image, other]), model.device))
        places = model.embedder.places(features).cpu().numpy()
    return split.maps(places[0], places[1])[0]


def _gradcam(score: _Score, device: torch.device, image: Image) -> Floats:
    from captum.attr import LayerGradCam

    found: Tensor = LayerGradCam(score, score.features).attribute(_to_tensor(image[None], device))
    return np.asarray(found.detach().cpu().numpy()[0, 0], dtype=np.float32)


def _integrated(score: _Score, device: torch.device, image: Image, steps: int = STEPS) -> Floats:
    """Pixels' shares from the emptied image to the image, summed over channels and the cells of the places."""
    from captum.attr import IntegratedGradients

    start, end = (_to_tensor(part[None], device) for part in (emptied(image), image))
    found: Tensor = IntegratedGradients(score).attribute(end, start, n_steps=steps, internal_batch_size=BATCH)
    with torch.inference_mode():
        height, width = score.features(end).shape[2:]
    pixels = found.detach().sum(1)[0].cpu().numpy().astype(np.float64)
    return pixels_to_places(pixels, (height, width)).astype(np.float32)


def _to_tensor(images: Image, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float() / 255
