"""What all systems share on test: the stores, the queries, the gallery and the frozen pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.assessment.embeddings import load_embeddings
from twinfolio.assessment.images import ImageSet, join, originals
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.unknown import unknown_images
from twinfolio.data.manifest import SPLITS, UNKNOWN
from twinfolio.data.store import Store, StoreInfo, read_info
from twinfolio.evaluation.pairs import PairCounts, build_pairs


@dataclass(frozen=True)
class Scene:
    """Test, and what it is held against.

    Attributes:
        info: Of the store.
        stores: ``train``, ``val``, ``test`` and, where classes were held out, ``unknown``.
        parts: Their original images; of ``unknown`` those of the classes that set no threshold.
        pairs: ``query, archive, label``.
        pair_counts: What the pair list is made of.
        embeddings: System -> the file of ``embed_gallery``.
        resampling: How intervals are made.
    """

    info: StoreInfo
    stores: dict[str, Store]
    parts: dict[str, ImageSet]
    pairs: pd.DataFrame
    pair_counts: PairCounts
    embeddings: Mapping[str, Path]
    resampling: Resampling

    @property
    def queries(self) -> ImageSet:
        """The test images."""
        return self.parts["test"]

    @cached_property
    def gallery(self) -> ImageSet:
        """Train, then validation."""
        return join(self.parts["train"], self.parts["val"])

    @cached_property
    def archive(self) -> ImageSet:
        """The gallery, then test."""
        return join(self.gallery, self.queries)

    def gallery_embeddings(self, system: str) -> np.ndarray:
        """Train's rows, then validation's (R, D), as ``embed_gallery`` saved them."""
        path = self.embeddings[system]
        return np.concatenate([load_embeddings(path, split, self.parts[split]) for split in ("train", "val")])


def open_scene(
    store_root: Path,
    embeddings: Mapping[str, Path],
    positives_per_query: int,
    min_positives: int,
    resampling: Resampling,
) -> Scene:
    """Open every split of the store; only ``evaluate`` may.

    Args:
        store_root: The store.
        embeddings: System -> the file of ``embed_gallery``.
        positives_per_query: Positive pairs of each query, and as many negative ones.
        min_positives: A class with fewer positive pairs keeps all of them.
        resampling: How intervals are made; its seed also draws the pairs.
    """
    info = read_info(store_root)
    stores = {split: Store.open(store_root / split) for split in info.splits}
    parts = {split: originals(stores[split]) for split in SPLITS}
    if UNKNOWN in stores and (strange := unknown_images(stores[UNKNOWN], "test")) is not None:
        parts[UNKNOWN] = strange
    archive = parts["train"].items.join(parts["val"].items)
    pairs, counts = build_pairs(parts["test"].items, archive, positives_per_query, min_positives, resampling.seed)
    return Scene(info, stores, parts, pairs, counts, embeddings, resampling)
