"""Which rows the store will hold, decided before any image is opened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinfolio.data.manifest import UNKNOWN
from twinfolio.data.store import INDEX_COLUMNS, Fit, Policy, StoreInfo
from twinfolio.data.tiling import tile_count

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rendering:
    """How an image becomes rows.

    Args:
        size: Side of the rows in pixels.
        fit: What happens to an image that is not square.
        channels: 3 for RGB, 1 for grey.
        tiles: Tiles of a large page; 1 shrinks it whole.
        tile_above: A page is large when its longer side is over ``tile_above`` x ``size``.
        policy: Row of ``augmentation.POLICIES`` for the copies.
        seed: Seed of the copies.
    """

    size: int = 224
    fit: Fit = "pad"
    channels: int = 3
    tiles: int = 6
    tile_above: float = 3.0
    policy: Policy = "pages"
    seed: int = 0

    @property
    def row_shape(self) -> tuple[int, int, int]:
        """Shape of one row: (size, size, channels)."""
        return self.size, self.size, self.channels


@dataclass(frozen=True)
class ImageTask:
    """One image file and the rows that come from it: positions in the split's array, with tile and copy of each."""

    path: Path
    image_id: str
    width: int
    height: int
    rows: tuple[tuple[int, int, int], ...]


def plan_rows(images: pd.DataFrame, rendering: Rendering, per_class: int | None, max_copies: int) -> pd.DataFrame:
    """The rows of one split, before any image is opened.

    A class below the target gets copies, spread evenly over its images: which of them get one more than the others
    is drawn from the seed. Policy ``none`` makes no copies, because they would equal their originals.

    Args:
        images: The split's rows of the manifest.
        rendering: How an image becomes rows.
        per_class: See ``write_store``.
        max_copies: See ``write_store``; 0 for a split that is left untouched.

    Returns:
        ``INDEX_COLUMNS``: originals in the manifest's order, then copies in the same order.
    """
    import pandas as pd

    sizes = zip(images["width"], images["height"], strict=True)
    tiles = [tile_count(w, h, rendering.size, rendering.tiles, rendering.tile_above) for w, h in sizes]
    originals = images.loc[images.index.repeat(tiles)].reset_index(drop=True)
    originals["tile"] = np.concatenate([np.arange(n) for n in tiles]) if tiles else np.zeros(0, np.int64)
    originals["copy"] = 0
    wanted = np.zeros(len(originals), np.int64)
    if max_copies and len(originals) and rendering.policy != "none":
        per_class = per_class or int(originals["label"].value_counts().max())
        for label, positions in originals.groupby("label").indices.items():
            wanted[positions] = _copies(len(positions), per_class, max_copies, f"{rendering.seed}\n{label}")
    copies = originals.loc[originals.index.repeat(wanted)].reset_index(drop=True)
    copies["copy"] = np.concatenate([np.arange(1, n + 1) for n in wanted]) if len(wanted) else np.zeros(0, np.int64)
    return pd.concat([originals, copies], ignore_index=True)[list(INDEX_COLUMNS)]


def _copies(n: int, target: int, max_copies: int, key: str) -> np.ndarray:
    """Copies (n,) of each row of a class of ``n`` rows, so that with them it has ``target`` rows."""
    total = min(max(target - n, 0), n * max_copies)
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    order = np.random.default_rng(seed).permutation(n)
    return total // n + (order < total % n).astype(np.int64)


def tasks_of(manifest: pd.DataFrame, plan: pd.DataFrame, data_dir: Path) -> list[ImageTask]:
    """One task an image of the plan.

    Args:
        manifest: The split's manifest.
        plan: The rows of one split, from ``plan_rows``.
        data_dir: The folder that the manifest's paths are relative to.
    """
    facts = manifest.set_index("image_id")[["path", "width", "height"]]
    rows: dict[str, list[tuple[int, int, int]]] = {}
    for position, (image_id, copy, tile) in enumerate(zip(plan["image_id"], plan["copy"], plan["tile"], strict=True)):
        rows.setdefault(image_id, []).append((position, int(tile), int(copy)))
    kept = facts.loc[list(rows)]
    return [
        ImageTask(data_dir / path, image_id, int(width), int(height), tuple(rows[image_id]))
        for image_id, path, width, height in zip(kept.index, kept["path"], kept["width"], kept["height"], strict=True)
    ]


def describe(manifest: pd.DataFrame, plans: dict[str, pd.DataFrame], rendering: Rendering) -> StoreInfo:
    """What ``store.json`` will say of a store with these plans (split -> rows)."""
    counts = {
        split: {
            "images": int(plan["image_id"].nunique()),
            "rows": len(plan),
            "copies": int((plan["copy"] > 0).sum()),
        }
        for split, plan in plans.items()
        if len(plan) or split != UNKNOWN
    }
    unknown = manifest["split"] == UNKNOWN
    return StoreInfo(
        channels=rendering.channels,
        classes=sorted(manifest["label"][~unknown].unique().tolist()),
        counts=counts,
        data_hash=data_hash(manifest),
        fit=rendering.fit,
        has_groups=bool((manifest["group"] != manifest["image_id"]).any()),
        policy=rendering.policy,
        size=rendering.size,
        tile_above=float(rendering.tile_above),
        tiles=rendering.tiles,
        unknown_classes=sorted(manifest["label"][unknown].unique().tolist()),
    )


def data_hash(manifest: pd.DataFrame) -> str:
    """SHA-256 over the manifest's paths and file hashes, in the order of the paths: names the data set."""
    pairs = sorted(zip(manifest["path"], manifest["sha256"], strict=True))
    return hashlib.sha256("".join(f"{path}\n{digest}\n" for path, digest in pairs).encode()).hexdigest()
