"""Tiny images that many tests need."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def texture():
    """``texture(seed, width, height)``: an RGB image with detail at all scales; another seed, another picture."""

    def draw(seed, width=64, height=48):
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height))
        fine = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        return Image.blend(coarse, Image.fromarray(fine).resize((width, height)), 0.3)

    return draw


@pytest.fixture
def class_folders(tmp_path, texture):
    """``class_folders({"a": 3, "b": 2})``: class folders of different pages ``p0.png``, ``p1.png``, ..."""

    def make(classes, root="images"):
        folder = tmp_path / root
        for place, (label, count) in enumerate(classes.items()):
            (folder / label).mkdir(parents=True)
            for page in range(count):
                texture(1000 * place + page).save(folder / label / f"p{page}.png")
        return folder

    return make


@pytest.fixture(scope="session")
def real_data(tmp_path_factory):
    """``real_data("arabic")``: a real data set as class folders; skips where ``../shared/data`` is absent."""
    unpack = Path(__file__).resolve().parents[2] / "shared" / "data" / "unpack"
    folders = {}

    def open_set(name):
        if not unpack.exists():
            pytest.skip(f"the real data set {name} is not beside the repository")
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("real") / name
            subprocess.run([sys.executable, str(unpack), name, str(folders[name])], check=True, capture_output=True)
        return folders[name]

    return open_set
