"""A tiny store, and systems that need no training: everything here runs in milliseconds."""

import json

import numpy as np
import pandas as pd
import pytest

from twinfolio.assessment.ablation import Grid
from twinfolio.assessment.calibration import CalibrationSettings
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.readiness import make_ready
from twinfolio.assessment.searched import SearchSetting
from twinfolio.assessment.systems import System
from twinfolio.evaluation.baselines import cosine_scores
from twinfolio.retrieval.scorers import DistanceScorer

CLASSES = ["alif", "ba", "ta", "tha"]
SIZE = 8


def write_split(folder, pages, *, copies=0, lent=(), tiled=(), seed=0):
    """Three images a page; a class is a colour, with noise; ``tiled`` classes have two rows an image."""
    generator = np.random.default_rng(seed)
    colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [160, 160, 60]])
    images, labels, rows = [], [], []
    for label, name in enumerate(CLASSES):
        for page in pages:
            for leaf in range(3):
                image_id = f"{name}/p{page}_{leaf}"
                for copy in range(copies + 1):
                    for tile in range(2 if name in tiled else 1):
                        image = colours[label] + generator.normal(0, 45, (SIZE, SIZE, 3))
                        images.append(np.clip(image, 0, 255).astype(np.uint8))
                        labels.append(label)
                        rows.append((image_id, copy, tile, name, f"{name}/p{page}", image_id, int(name in lent)))
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.stack(images))
    np.save(folder / "labels.npy", np.array(labels, dtype=np.int64))
    columns = ["image_id", "copy", "tile", "label", "group", "cluster", "within_group"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "index.csv", index=False)


def write_unknown(root, *, strange=True):
    """Four held-out classes with names of their own: complementary colours, or the same as the known ones."""
    folder = root / "unknown"
    write_split(folder, range(2), tiled=("tha",), seed=4)
    index = pd.read_csv(folder / "index.csv")
    for column in ("image_id", "label", "group", "cluster"):
        index[column] = "un" + index[column]
    index.to_csv(folder / "index.csv", index=False)
    np.save(folder / "labels.npy", np.load(folder / "labels.npy") + len(CLASSES))
    if strange:
        np.save(folder / "images.npy", 220 - np.minimum(np.load(folder / "images.npy"), 220))
    write_info(root, unknown_classes=[f"un{name}" for name in CLASSES])


def write_info(root, **others):
    info = {
        "channels": 3,
        "classes": CLASSES,
        "counts": {},
        "data_hash": "d" * 64,
        "fit": "pad",
        "has_groups": True,
        "policy": "none",
        "size": SIZE,
        "tile_above": 3.0,
        "tiles": 2,
    }
    (root / "store.json").write_text(json.dumps(info | others))


@pytest.fixture
def store_root(tmp_path):
    """Train and validation only: a reader of test fails here."""
    root = tmp_path / "store"
    write_split(root / "train", range(3), copies=1, tiled=("tha",), seed=1)
    write_split(root / "val", range(3, 5), lent=("ba",), tiled=("tha",), seed=2)
    write_info(root)
    return root


@pytest.fixture
def whole_store(store_root):
    write_split(store_root / "test", range(5, 7), tiled=("tha",), seed=3)
    return store_root


def mean_colour(images):
    return images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32) - 110


def brightness(images):
    """A poor system: it sees no colour."""
    means = images.reshape(len(images), -1).astype(np.float32)
    return np.stack([means.mean(axis=1), means.std(axis=1)], axis=1)


def negative_l2(x, y):
    return -np.linalg.norm(x[:, None] - y[None], axis=2)


def nearest_class_colour(x):
    """Probabilities that always say the second class: a class layer with known numbers."""
    return np.tile(np.array([0.1, 0.7, 0.1, 0.1]), (len(x), 1))


def make_systems():
    return [
        System("l1", brightness, negative_l2, pretrained=False),
        System("cosine", mean_colour, cosine_scores, nearest_class_colour, pretrained=True),
        System("colour_histogram", mean_colour, negative_l2),
    ]


def cosine_head(gallery):
    return DistanceScorer(gallery, "cosine", 1.0, 1.0)


def make_ready_of(system, root, comparison, embeddings, methods=("whitening", "query_expansion")):
    """The champion made ready with a small grid."""
    grid = Grid(methods, [3], [0.1], [2], [0.75], [2], [1.0], [5], [2], [0.3], 10)
    return make_ready(
        system,
        cosine_head,
        root,
        embeddings / f"{system.name}.npz",
        comparison.pairs,
        grid=grid,
        latency_ms=1000,
        repeats=1,
        criterion="f1",
        settings=CalibrationSettings(),
        resampling=Resampling(n=100),
    )


def setting_of(ready):
    return SearchSetting(ready.ablation.kept.recipe, ready.threshold, ready.calibration)


@pytest.fixture
def systems():
    return make_systems()
