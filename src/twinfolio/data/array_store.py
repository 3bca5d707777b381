"""A store of images that lie in memory already, each a group of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.manifest import SPLITS
from twinfolio.data.store import INDEX_COLUMNS, INFO_FILE, StoreInfo

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images (N, S, S) or (N, S, S, C), and labels (N,)."""


def write_array_store(
    target: Path, parts: Mapping[str, Part], classes: Sequence[str], names: Mapping[str, Sequence[str]] | None = None
) -> StoreInfo:
    """Write ``train``, ``val`` and ``test`` as a store; see ``twinfolio.data.store``.

    Args:
        target: The store's folder.
        parts: Split -> images and labels.
        classes: Names of the labels.
        names: Split -> name of each image; None: class and number.
    """
    images = {split: part[0] if part[0].ndim == 4 else part[0][..., None] for split, part in parts.items()}
    digest = hashlib.sha256()
    for split in SPLITS:
        labels = parts[split][1]
        numbered = [f"{classes[label]}/{split}-{number:06d}" for number, label in enumerate(labels)]
        write_part(target / split, images[split], labels, classes, numbered if names is None else names[split])
        digest.update(images[split].tobytes() + labels.tobytes())
    info = StoreInfo(
        channels=images["train"].shape[3],
        classes=list(classes),
        counts={split: {"images": len(images[split]), "rows": len(images[split]), "copies": 0} for split in SPLITS},
        data_hash=digest.hexdigest(),
        fit="pad",
        has_groups=False,
        policy="none",
        size=images["train"].shape[1],
        tile_above=float("inf"),
        tiles=1,
    )
    (target / INFO_FILE).write_text(json.dumps(asdict(info), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return info


def write_part(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[str], names: Sequence[str]
) -> None:
    """Write one split's folder.

    Args:
        folder: Where.
        images: (N, H, W, C).
        labels: (N,) positions in ``classes``.
        classes: Names of the labels.
        names: Of each image.
    """
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels.astype(np.int64))
    columns = {"image_id": list(names), "copy": 0, "tile": 0, "label": [classes[label] for label in labels]}
    index = pd.DataFrame(columns | {"group": list(names), "cluster": list(names), "within_group": 0})
    index[list(INDEX_COLUMNS)].to_csv(folder / "index.csv", index=False, lineterminator="\n")
