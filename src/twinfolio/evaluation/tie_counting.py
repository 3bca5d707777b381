"""How many scores of a tile reach each relevant score of its query: the inner loop of `streaming`, compiled.

One pass over a row for each of its query's relevant scores, lowest first, until nothing reaches the score: no branch
within a pass, so that it runs at the width of the machine's vectors. A search of every score's place among the relevant
ones is several times slower at 10 relevant a query, and no faster at 100. One thread: a second pool of threads beside
that of the matrix product costs more in waiting than it saves.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twinfolio.evaluation.arrays import Flags, Integers

Scored = NDArray[np.float32]

# float32 counters are as wide as the scores and exact up to 2**24 columns; "reassoc" lets them be summed in lanes
_compiled = njit(cache=True, nogil=True, fastmath={"reassoc"})
_LARGEST, _ONE, _NONE = np.finfo(np.float32).max, np.float32(1), np.float32(0)


@_compiled  # type: ignore[untyped-decorator]
def count(block: Scored, limits: Scored, bounds: Integers, reached: Integers, passed: Integers) -> Flags:
    """Add to each limit how many scores of its query's row are at least it, and how many are above it.

    Args:
        block: Scores (q, m).
        limits: Relevant scores (T,), distinct and falling within a query.
        bounds: First limit of each query, and T (q + 1,).
        reached: Counters of scores >= limit (T,), added to.
        passed: Counters of scores > limit (T,), added to.

    Returns:
        Rows that hold NaN or infinity (q,).
    """
    broken = np.zeros(len(block), np.bool_)
    for query in range(len(block)):
        broken[query] = _not_finite(block[query])
        for limit in range(bounds[query + 1] - 1, bounds[query] - 1, -1):
            least, above = _at_least_and_above(block[query], limits[limit])
            if least == 0:
                break
            reached[limit] += least
            passed[limit] += above
    return broken


@_compiled  # type: ignore[untyped-decorator]
def _not_finite(row: Scored) -> bool:
    odd = _NONE
    for place in range(len(row)):
        odd += _NONE if abs(row[place]) <= _LARGEST else _ONE
    return bool(odd > 0)


# a function of its own and a loop over places, or it is not turned into vector code (13 x slower)
@_compiled  # type: ignore[untyped-decorator]
def _at_least_and_above(row: Scored, limit: np.float32) -> tuple[int, int]:
    least, above = _NONE, _NONE
    for place in range(len(row)):
        least += _ONE if row[place] >= limit else _NONE
        above += _ONE if row[place] > limit else _NONE
    return int(least), int(above)


@_compiled  # type: ignore[untyped-decorator]
def uncount(
    scores: Scored, owner: Integers, limits: Scored, bounds: Integers, reached: Integers, passed: Integers
) -> None:
    """Take the scores (P,) of the queries ``owner`` (P,) out of the counters of `count` again."""
    for pair in range(len(scores)):
        for limit in range(bounds[owner[pair] + 1] - 1, bounds[owner[pair]] - 1, -1):
            if scores[pair] < limits[limit]:
                break
            reached[limit] -= 1
            passed[limit] -= scores[pair] > limits[limit]
