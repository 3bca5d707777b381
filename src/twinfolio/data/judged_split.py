"""Which judged query trains, validates or tests, and which pairs it gives: split by query, never by pair.

The archive of maps is one for all, as in Jimenez & Szabo; but a map that answers a query of validation or test is in no
pair that trains, and a training query that shares an answer with such a query is left out: both would show training a
place it is tested on.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twinfolio.data.linked import Forest
from twinfolio.data.manifest import SPLITS
from twinfolio.data.splitting import Fractions, place_units
from twinfolio.errors import DataError

GAP, UNANSWERED = "gap", "unanswered"
"""A query too near to one held out, and one that no map answers: neither is in any split."""
Flags = NDArray[np.bool_]
Names = NDArray[np.str_]


def shared_places(sim: Flags) -> NDArray[np.int64]:
    """Place (N,) of each query: those that share an answer, by whatever chain, are at one.

    Args:
        sim: (N, M) whether a map shows what a query shows.
    """
    forest = Forest(len(sim))
    for column in sim.T:
        for query in np.flatnonzero(column)[1:]:
            forest.join(int(np.argmax(column)), int(query))
    return forest.firsts()


def walked_places(queries: int, frames: int) -> NDArray[np.int64]:
    """Place (N,) of each query of a walk: so many frames in a row are one, so that neighbours stay together."""
    return np.arange(queries) // frames


def split_queries(sim: Flags, places: NDArray[np.int64], fractions: Fractions, seed: int) -> Names:
    """Give every query a split, whole places to one.

    Args:
        sim: (N, M).
        places: (N,) place of each query.
        fractions: Shares of train, val and test.
        seed: Of the draw.

    Returns:
        (N,) ``train``, ``val``, ``test``, ``GAP`` or ``UNANSWERED``.

    Raises:
        DataError: A split is empty.
    """
    split = np.full(len(sim), UNANSWERED, dtype="U10")
    answered = sim.any(axis=1)
    names, index, sizes = np.unique(places[answered], return_inverse=True, return_counts=True)
    if len(names) > 2:
        free = np.zeros(len(names), np.bool_)
        dealt = place_units(sizes, free, fractions, np.zeros(3), np.random.default_rng(seed))
        split[answered] = np.array(SPLITS)[dealt[index]]
        for own, others in (("val", ["test"]), ("train", ["val", "test"])):
            split[(split == own) & sim[:, answers(sim, split, others)].any(axis=1)] = GAP
    for name in SPLITS:
        if name not in split:
            raise DataError(
                f"{int(answered.sum())} queries with an answer at {len(names)} places leave none for {name}",
                "judge more queries, or change judged.split, judged.tile or judged.fractions",
            )
    return split


def answers(sim: Flags, split: Names, of: list[str]) -> Flags:
    """Maps (M,) that answer a query of these splits."""
    return np.asarray(sim[np.isin(split, of)].any(axis=0))


def draw_pairs(sim: Flags, split: Names, seed: int) -> pd.DataFrame:
    """As many pairs that were judged similar as others, of each query; the others are drawn evenly.

    Training never sees what answers a query of validation or test, validation never what answers one of test. A query
    with more answers than other maps gives as many pairs of each kind as there are of the rarer.

    Args:
        sim: (N, M).
        split: (N,), see ``split_queries``.
        seed: Of the draw.

    Returns:
        Columns ``split``, ``query`` and ``map`` (positions), sorted.

    Raises:
        DataError: A split gives no pair.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, int, int]] = []
    for name, held_out in zip(SPLITS, (["val", "test"], ["test"], []), strict=True):
        allowed = ~answers(sim, split, held_out)
        before = len(rows)
        for query in np.flatnonzero(split == name):
            kinds = [np.flatnonzero(kind & allowed) for kind in (sim[query], ~sim[query])]
            count = min(map(len, kinds))
            chosen = np.concatenate([rng.choice(kind, count, replace=False) for kind in kinds])
            rows += [(name, int(query), int(column)) for column in np.sort(chosen)]
        if len(rows) == before:
            raise DataError(f"judgments: {name} has no pairs of both kinds", "judge more, or change judged.split")
    return pd.DataFrame(rows, columns=["split", "query", "map"])
