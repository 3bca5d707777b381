"""A program that needs no net, and pictures for it."""

import numpy as np
import pytest
from PIL import Image

from twinfolio.data.store_plan import Rendering
from twinfolio.retrieval.cache import EmbeddingCache
from twinfolio.retrieval.recipe import Recipe
from twinfolio.serving.folder import embed_folder


class MeanColour:
    """Embeds an image as its mean colour; pure black as NaN."""

    fingerprint = "weights"
    config = {"distance": "l2", "head": "distance"}  # noqa: RUF012
    rendering = Rendering(size=32)
    recipe = Recipe()
    distance = "l2"
    largest = 0

    def embed_views(self, rows):
        return self.embed(rows)

    def embed(self, rows):
        type(self).largest = max(self.largest, len(rows))
        means = rows.mean((1, 2)).astype(np.float32)
        return np.where(means.sum(1, keepdims=True) == 0, np.float32(np.nan), means)


@pytest.fixture
def program():
    return MeanColour()


@pytest.fixture
def save():
    def save(path, seed=0, size=(40, 40), **kwargs):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels if seed is not None else 0 * pixels).save(path, **kwargs)
        return path

    return save


@pytest.fixture
def embed(tmp_path, program):
    cache = EmbeddingCache(tmp_path / "cache.sqlite", "weights")
    return lambda folder, **kwargs: embed_folder(folder, program, cache, **kwargs)


@pytest.fixture
def folder(tmp_path, save):
    for number in range(6):
        save(tmp_path / "leaves" / f"codex {number % 2}" / f"p{number // 2}_t{number}.png", number)
    save(tmp_path / "leaves" / "loose.png", 9)
    (tmp_path / "leaves" / "codex 0" / "broken.jpg").write_text("no image")
    return tmp_path / "leaves"
