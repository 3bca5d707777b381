"""Array types of this package, and the checks every metric makes on what it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
AnyArray = NDArray[Any]


def finite_scores(scores: ArrayLike, ndim: int) -> Floats:
    """Scores as float64, so that comparing them with a threshold never rounds the threshold.

    Args:
        scores: Any real array.
        ndim: Dimensions it must have.

    Returns:
        The same values as float64.

    Raises:
        ValueError: Wrong number of dimensions, or a value is NaN or infinite.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"scores have {array.ndim} dimensions, not {ndim}")
    if not np.isfinite(array).all():
        raise ValueError("scores hold NaN or infinity: no order is defined")
    return array


def same_length(**arrays: AnyArray) -> int:
    """The common first dimension of named arrays.

    Raises:
        ValueError: They differ; the message names each length.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"lengths differ: {lengths}")
    return next(iter(lengths.values()))


def codes(*arrays: ArrayLike) -> list[Integers]:
    """Integer codes of several arrays of names, equal exactly where the names are equal."""
    parts = [np.asarray(array) for array in arrays]
    _, inverse = np.unique(np.concatenate(parts), return_inverse=True)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [part.astype(np.int64) for part in np.split(inverse, ends)]
