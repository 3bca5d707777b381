"""Near-duplicates planted on a split's images, and how alike any system finds them to their originals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.images import ImageSet
from twinfolio.assessment.systems import System, system_scores
from twinfolio.data.store import Store
from twinfolio.evaluation.arrays import codes
from twinfolio.evaluation.pairs import positions
from twinfolio.evaluation.planted import PlantedScores
from twinfolio.evaluation.retrieval_protocol import Items
from twinfolio.sample.planted import KINDS, CopyKind, plant


@dataclass(frozen=True)
class Planted:
    """Copies of some images of a split.

    Attributes:
        images: uint8 (R, H, W, C), the copies' rows.
        copies: Q copies; each has its original's label, group and cluster, and an id of its own.
        kinds: (Q,) what was done.
        originals: (Q,) ids of what was copied.
    """

    images: np.ndarray
    copies: ImageSet
    kinds: np.ndarray
    originals: np.ndarray


def plant_copies(store: Store, of: ImageSet, n: int, seed: int, kinds: Sequence[CopyKind] = KINDS) -> Planted:
    """Copy some images of a split, once in each way.

    Rows of the store are copied, as the systems see them: a page of several tiles tile by tile.

    Args:
        store: The split.
        of: Its original images.
        n: How many are copied; all where there are fewer.
        seed: Of the draw.
        kinds: What is done to each.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(of))[:n])
    rows = [np.flatnonzero(of.row_image == image) for image in drawn]
    places = np.concatenate(rows)
    images = [plant(np.asarray(store.images[row]), kind) for kind in kinds for row in of.rows[places]]
    sources, times = of.items.take(drawn), np.repeat(kinds, len(drawn))
    of_copy = np.tile(np.arange(len(drawn)), len(kinds))
    ids = [f"{sources.ids[one]}#{kind}" for one, kind in zip(of_copy, times, strict=True)]
    items = Items(np.array(ids), *(part[of_copy] for part in (sources.labels, sources.groups, sources.clusters)))
    counts = np.tile([len(part) for part in rows], len(kinds))
    copies = ImageSet(
        items=items,
        within_group=np.tile(of.within_group[drawn], len(kinds)),
        row_image=np.repeat(np.arange(len(ids)), counts),
        row_tile=np.tile(of.row_tile[places], len(kinds)),
        rows=np.arange(len(images)),
    )
    return Planted(np.stack(images), copies, times, sources.ids[of_copy])


def planted_scores(system: System, planted: Planted, gallery: ImageSet, gallery_vectors: np.ndarray) -> PlantedScores:
    """Scores of the copies with a gallery that holds their originals.

    Args:
        system: What embeds and compares them.
        planted: Q copies.
        gallery: M images.
        gallery_vectors: float32 (S, D), its rows.

    Raises:
        DataError: An original is not in the gallery.
    """
    vectors = embed_originals(system, planted.images, planted.copies, "copies")
    # "included": a copy is to find its original, which is of its group
    scores = system_scores(system, vectors, planted.copies, gallery_vectors, gallery, "included")
    originals = positions(planted.originals, gallery.items.ids)
    own, others = codes(planted.copies.items.clusters, gallery.items.clusters)
    barred = own[:, None] == others[None, :]
    barred[np.arange(len(originals)), originals] = False
    every = scores(np.arange(len(originals)), np.arange(len(gallery)))
    return PlantedScores(every.astype(np.float64), originals, planted.kinds, planted.copies.items.groups, barred)
