"""A store small enough to train on in a second: classes of stripes that differ by angle and width."""

import json

import numpy as np
import pandas as pd


def stripes(label, classes, size, rng):
    y, x = np.mgrid[:size, :size]
    angle = np.pi * label / classes
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (0.5 + 0.15 * label) + rng.uniform(0, 6))
    return (120 + 60 * wave[..., None] + rng.normal(0, 30, (size, size, 3))).clip(0, 255).astype(np.uint8)


def write_split(folder, images_per_class, *, classes, size, copies=1, tiles=1, seed=0):
    rng = np.random.default_rng(seed)
    images, rows = [], []
    for label in range(classes):
        for image in range(images_per_class):
            name = f"c{label}/{folder.name}{image}"
            for copy, tile in np.ndindex(copies, tiles):
                images.append(stripes(label, classes, size, rng))
                rows.append((name, copy, tile, f"c{label}", name, name, 0))
    folder.mkdir(parents=True)
    columns = ["image_id", "copy", "tile", "label", "group", "cluster", "within_group"]
    index = pd.DataFrame(rows, columns=columns)
    np.save(folder / "images.npy", np.stack(images))
    np.save(folder / "labels.npy", index["label"].str[1:].to_numpy(dtype=np.int64))
    index.to_csv(folder / "index.csv", index=False)


def write_store(root, *, classes=3, train=8, val=3, size=32, copies=2, tiles=1):
    """A store of ``classes`` classes; train has ``copies`` rows an image, all splits ``tiles``."""
    for number, (split, images) in enumerate({"train": train, "val": val, "test": val}.items()):
        rows = copies if split == "train" else 1
        write_split(root / split, images, classes=classes, size=size, copies=rows, tiles=tiles, seed=number)
    info = {
        "channels": 3,
        "classes": [f"c{label}" for label in range(classes)],
        "counts": {},
        "data_hash": "0",
        "fit": "pad",
        "has_groups": False,
        "policy": "none",
        "size": size,
        "tile_above": 3.0,
        "tiles": tiles,
    }
    (root / "store.json").write_text(json.dumps(info))
    return root
