"""Re-ranking by matched key points: the first candidates are looked at anew, point by point.

A row is a vector and, after it, the image's key points: (x, y, descriptor) each, zeros where there are fewer. Whoever
keeps rows (caches, indexes, stores of embeddings) keeps both, and need not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.matching import Matching, count_matches
from twinfolio.retrieval.scorers import BuildScorer, Floats, Scorer

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Matched(Matching):
    """What the re-ranking is set to, beside when two key points match.

    The score of a candidate is that of its vector plus ``weight`` * log(1 + matches): a share of the key points would
    favour images that have few.

    Attributes:
        weight: What matches count.
        candidates: Images ranked again; with 0 vectors alone are compared.
        points: Key points an image.
        width: D of a descriptor.

    Raises:
        ValueError: Points or width are below 1, candidates or weight below 0.
    """

    weight: float = 0.1
    candidates: int = 100
    points: int = 500
    width: int = 128

    def __post_init__(self) -> None:
        if min(self.points, self.width) < 1 or min(self.candidates, self.weight) < 0:
            raise ValueError(f"{self}: points and width must be >= 1, candidates and weight >= 0")

    @property
    def columns(self) -> int:
        """Numbers of a row that are key points, its last ones."""
        return self.points * (2 + self.width)

    def gains(self, queries: Floats, rows: Floats) -> Doubles:
        """What matches add (T, S) to the scores of the vectors of rows (T, D + P) and (S, D + P)."""
        sides = [[self.points_of(row) for row in side] for side in (queries, rows)]
        counts = [[count_matches(a, b, self) for b in sides[1]] for a in sides[0]]
        return np.asarray(self.weight * np.log1p(counts))

    def points_of(self, row: Floats) -> Floats:
        """The key points (n, 2 + D) of a row."""
        points = row[-self.columns :].reshape(self.points, -1)
        return np.asarray(points[points[:, 2:].any(axis=1)])


class VectorsOnly(Scorer):
    """Another scorer on the vectors of rows that end in key points.

    Args:
        gallery: Rows (M, D + P).
        build: Of the other scorer.
        columns: P.
    """

    def __init__(self, gallery: Floats, build: BuildScorer, columns: int) -> None:
        super().__init__(gallery)
        self.columns = columns
        self.inner = build(self.gallery[:, :-columns])
        self.compiled = self.inner.compiled

    def pairwise(self, queries: Floats) -> Floats:
        """See ``Scorer``."""
        return self.inner.pairwise(queries[:, : -self.columns])

    def paired(self, queries: Floats, rows: NDArray[np.int64]) -> Floats:
        """See ``Scorer``."""
        return self.inner.paired(queries[:, : -self.columns], rows)

    def nearest(self, queries: Floats, places: int) -> NDArray[np.int64]:
        """See ``Scorer``."""
        return self.inner.nearest(queries[:, : -self.columns], places)
