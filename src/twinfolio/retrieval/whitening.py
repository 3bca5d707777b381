"""PCA whitening of embeddings, learned without labels: directions that all images share lose their weight.

Source: Jegou & Chum 2012, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and whitening",
section 3.2 (centre, rotate, scale by the root of the eigenvalues, bring back to length 1); the covariance is shrunk
towards a multiple of the identity as in Ledoit & Wolf 2004, Eq. 14, with the share given instead of estimated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinfolio.retrieval.scorers import Floats, unit_rows

FLOOR = 1e-6
"""Variances below this share of the largest count as it: a direction without spread must not become all noise."""


@dataclass(frozen=True)
class Whitening:
    """A learned rotation and scaling.

    Attributes:
        shrinkage: Share of the identity in the covariance; 0: plain PCA whitening, 1: PCA without whitening.
        mean: (D,) of the unit vectors it was learned from.
        projection: (D, K), a column a direction, by falling variance.
    """

    shrinkage: float
    mean: Floats
    projection: Floats

    @property
    def dims(self) -> int:
        """Dimensions kept, K."""
        return int(self.projection.shape[1])

    def project(self, vectors: Floats) -> Floats:
        """Whitened coordinates (N, K) of vectors (N, D): over the training vectors their covariance is the identity."""
        return np.asarray((unit_rows(vectors) - self.mean) @ self.projection, dtype=np.float32)

    def apply(self, vectors: Floats) -> Floats:
        """Whitened coordinates at length 1 (N, K); their cosine is the score."""
        return unit_rows(self.project(vectors))


def fit_whitening(vectors: Floats, dims: int, shrinkage: float = 0.0) -> Whitening:
    """Learn a whitening from embeddings of training images.

    Args:
        vectors: (N, D); their lengths do not matter.
        dims: Dimensions to keep; more than D, or than N - 1, means as many as there are.
        shrinkage: In [0, 1], see ``Whitening``.

    Raises:
        ValueError: Fewer than two vectors, dims below 1 or a shrinkage outside [0, 1].
    """
    if len(vectors) < 2 or dims < 1 or not 0 <= shrinkage <= 1:
        raise ValueError(f"{len(vectors)} vectors, dims = {dims}, shrinkage = {shrinkage}: nothing to whiten")
    units = unit_rows(vectors).astype(np.float64)
    mean = units.mean(0)
    variances, directions = _axes(units - mean)
    kept = slice(None, -1 - min(dims, len(mean), len(vectors) - 1), -1)
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / len(mean)
    variances, directions = np.maximum(shrunk, FLOOR * shrunk.max())[kept], directions[:, kept]
    # an eigenvector has two signs: choose one, so that two machines write one file
    signs = np.sign(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])])
    projection = directions * signs / np.sqrt(variances)
    return Whitening(shrinkage, mean.astype(np.float32), np.ascontiguousarray(projection, np.float32))


def _axes(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances (A,), rising, and axes (D, A) of rows (N, D) of mean 0; fewer rows than columns have as many axes."""
    n_rows, width = centred.shape
    if n_rows > width:
        return np.linalg.eigh(np.cov(centred, rowvar=False).reshape(width, -1))
    # the rows' own products have the same variances, and eigenvectors that lead to the axes
    variances, of_rows = np.linalg.eigh(centred @ centred.T / (n_rows - 1))
    axes = centred.T @ of_rows
    return variances, axes / np.maximum(np.linalg.norm(axes, axis=0), np.finfo(np.float64).tiny)
