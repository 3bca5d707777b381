"""A judged set on disk: what is trained on, ranked and measured, split once and for all.

``images/`` and ``bits/`` are splits' folders of a store, queries first, then maps; ``judgments.npz`` holds ``sim``,
``fov`` (where it was judged), ``split`` and ``places``; ``pairs.csv`` the pairs of each split.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twinfolio.data.array_store import write_part
from twinfolio.data.judged_images import JudgedImages
from twinfolio.data.judged_split import answers
from twinfolio.data.store import Store
from twinfolio.errors import DataError

IMAGES, BITS = "images", "bits"
_JUDGMENTS, _PAIRS = "judgments.npz", "pairs.csv"


@dataclass(frozen=True)
class JudgedSet:
    """A set open for reading.

    Attributes:
        images: The images, N queries and then M maps.
        bits: The same images as bits of their first key points, see ``write_judged_set``.
        sim: (N, M) whether a map shows what a query shows.
        fov: (N, M) graded judgments, or None.
        split: (N,) see ``judged_split.split_queries``.
        places: (N,) place of each query.
        pairs: ``split``, ``query``, ``map``.
    """

    images: Store
    bits: Store
    sim: NDArray[np.bool_]
    fov: NDArray[np.float32] | None
    split: NDArray[np.str_]
    places: NDArray[np.int64]
    pairs: pd.DataFrame

    @property
    def maps(self) -> NDArray[np.int64]:
        """(M,) rows of the maps."""
        return np.arange(self.sim.shape[0], sum(self.sim.shape))

    @property
    def learned(self) -> NDArray[np.int64]:
        """Rows that may be learned from: training queries, and maps that answer one of them and none held out."""
        own = answers(self.sim, self.split, ["train"]) & ~answers(self.sim, self.split, ["val", "test"])
        return np.concatenate([self.queries("train"), self.maps[own]])

    def queries(self, split: str) -> NDArray[np.int64]:
        """Rows of a split's queries."""
        return np.flatnonzero(self.split == split)

    def target(self, name: str) -> NDArray[np.float32]:
        """(N, M) what a pair is to be given: ``sim`` or ``fov``.

        Raises:
            DataError: It was not judged.
        """
        if name == "sim":
            return self.sim.astype(np.float32)
        if self.fov is None:
            raise DataError("these judgments have no fov", "train on sim alone: jimenez_szabo.trainings")
        return self.fov

    def pair_rows(self, split: str) -> NDArray[np.int64]:
        """(P, 2) rows of a split's pairs, the query first."""
        own = self.pairs[self.pairs["split"] == split]
        return np.stack([own["query"].to_numpy(), own["map"].to_numpy() + len(self.sim)], axis=1)


def write_judged_set(
    folder: Path,
    found: JudgedImages,
    bits: NDArray[np.uint8],
    split: NDArray[np.str_],
    places: NDArray[np.int64],
    pairs: pd.DataFrame,
) -> str:
    """Write a set.

    Args:
        folder: Where.
        found: Images and judgments.
        bits: (N + M, K, 256) bits of the first K key points of queries and maps, a row a key point. They are kept as
            images of 0 and 255, so that whatever trains on images trains on them.
        split: (N,).
        places: (N,).
        pairs: See ``judged_split.draw_pairs``.

    Returns:
        A hash of images, judgments and split.
    """
    judged = found.judged
    names = [*judged.queries, *judged.maps]
    images = np.concatenate([found.queries, found.maps])
    no_class = np.zeros(len(names), np.int64)
    write_part(folder / IMAGES, images, no_class, ["judged"], names)
    write_part(folder / BITS, (bits * 255)[..., None], no_class, ["judged"], names)
    arrays: dict[str, Any] = {"sim": judged.sim, "split": split, "places": places}
    arrays |= {} if judged.fov is None else {"fov": judged.fov}
    np.savez_compressed(folder / _JUDGMENTS, **arrays)
    pairs.to_csv(folder / _PAIRS, index=False, lineterminator="\n")
    digest = hashlib.sha256(images.tobytes())
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def open_judged_set(folder: Path) -> JudgedSet:
    """Open what ``write_judged_set`` wrote.

    Raises:
        DataError: Something is missing or broken.
    """
    try:
        with np.load(folder / _JUDGMENTS, allow_pickle=False) as file:
            values = {name: file[name] for name in file}
        pairs = pd.read_csv(folder / _PAIRS)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: no judged set ({error})", "run the stage judged again") from None
    images, bits = (Store.open(folder / name) for name in (IMAGES, BITS))
    return JudgedSet(images, bits, values["sim"], values.get("fov"), values["split"], values["places"], pairs)
