"""Which items hang together, by whatever chain of links."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray


class Forest:
    """Union-find over ``n`` indices."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def join(self, a: int, b: int) -> bool:
        """Connect two indices; False when they already were."""
        low, high = sorted((self._root(a), self._root(b)))
        self._parent[high] = low
        return low != high

    def firsts(self) -> NDArray[np.int64]:
        """(n,) The lowest index that each index is connected with."""
        return np.array([self._root(index) for index in range(len(self._parent))], dtype=np.int64)

    def _root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index


def linked(*columns: Iterable[Hashable]) -> NDArray[np.int64]:
    """(N,) The lowest index that each item is linked with: items with a key in common in any column are.

    Args:
        columns: N keys each, such as the groups (pages) and the duplicate clusters of images.
    """
    rows = [list(column) for column in columns]
    forest = Forest(len(rows[0]))
    for keys in rows:
        firsts: dict[Hashable, int] = {}
        for index, key in enumerate(keys):
            forest.join(firsts.setdefault(key, index), index)
    return forest.firsts()
