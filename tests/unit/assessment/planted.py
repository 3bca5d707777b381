"""A Siamese model of which the truth is known: only the upper left quadrant of an image reaches the score."""

import numpy as np
import torch
from torch import nn

from twinfolio.models.bundle import Model
from twinfolio.models.embedder import Embedder
from twinfolio.models.heads import build_head
from twinfolio.models.trunks import TrunkInfo

SIDE, PLACES = 64, 8


class Quadrant(nn.Module):
    """Each place sees the strokes in its own 8 x 8 pixels, and paper; the places outside the quadrant see nothing."""

    num_features = 12

    def __init__(self):
        super().__init__()
        self.see = nn.Conv2d(3, self.num_features - 1, SIDE // PLACES, stride=SIDE // PLACES, bias=False)
        with torch.no_grad():
            self.see.weight -= self.see.weight.mean((2, 3), keepdim=True)  # strokes are seen, colour is not
        self.register_buffer("mask", torch.zeros(PLACES, PLACES))
        self.mask[: PLACES // 2, : PLACES // 2] = 1

    def forward_features(self, images):
        strokes = self.see(images).square()
        return torch.cat([strokes, torch.full_like(strokes[:, :1], 0.05)], dim=1) * self.mask


def planted_model(kind="distance", distance="cosine", pooling="avg"):
    """Untrained, but its score falls when the quadrant changes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        info = TrunkInfo("quadrant", Quadrant.num_features, (0.5,) * 3, (0.5,) * 3, False, (SIDE, SIDE))
        embedder = Embedder(Quadrant(), info, pooling=pooling, embedding=None, normalise=True).eval()
        head = build_head(kind, distance, embedder.dim).eval()
    for part in (embedder, head):
        part.requires_grad_(False)
    return Model(embedder, head, None, {}, torch.device("cpu"))


def strokes(seed):
    """uint8 (64, 64, 3): dark strokes of one width on paper, all over the page."""
    generator = np.random.default_rng(seed)
    page = np.full((SIDE, SIDE, 3), 220.0)
    for row, column in generator.integers(0, SIDE - 8, (60, 2)):
        page[row : row + 2, column : column + 7] = 40
    return np.clip(page + generator.normal(0, 5, page.shape), 0, 255).astype(np.uint8)
