"""Scores under a recipe for evaluation: any queries with any gallery images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinfolio.retrieval.prepared import Integers, PreparedGallery, means_of_parts
from twinfolio.retrieval.scorers import Floats, Scorer


class RecipeScores:
    """Scores of images under a recipe as ``evaluation.streaming.Scores``: any queries with any gallery images.

    Args:
        gallery: The prepared gallery.
        tiles: (S, D) the queries' tiles, embedded under the recipe's views.
        image_of_tile: (S,) the query 0..Q-1 of each.
        barred: For each query the gallery images it must not find or learn from.
    """

    def __init__(
        self, gallery: PreparedGallery, tiles: Floats, image_of_tile: Integers, barred: Sequence[Integers]
    ) -> None:
        self.gallery = gallery
        counts = np.bincount(image_of_tile, minlength=len(barred))
        rows = np.split(np.argsort(image_of_tile, kind="stable"), np.cumsum(counts)[:-1])
        self.queries = [gallery.query(tiles[part], out) for part, out in zip(rows, barred, strict=True)]
        self.special = [gallery.overrides(query, out) for query, out in zip(self.queries, barred, strict=True)]

    def __call__(self, queries: Integers, images: Integers) -> Floats:
        """Scores (q, m) float32; what is barred has a score too, and is left out by the protocol."""
        tiles = [self.queries[query] for query in queries]
        pairs = self._scorer(images).pairwise(np.concatenate(tiles)).astype(np.float64)
        rows = [len(self.gallery.rows_of_image[image]) for image in images]
        by_image = means_of_parts(pairs, rows)
        scores = self.gallery.recipe.unranked(means_of_parts(by_image.T, [len(part) for part in tiles]).T)
        place = np.full(self.gallery.n_images, -1)
        place[images] = np.arange(len(images))
        for row, query in enumerate(queries):
            found, values = self.special[query]
            here = place[found] >= 0
            scores[row, place[found][here]] = values[here]
        return scores.astype(np.float32)

    def _scorer(self, images: Integers) -> Scorer:
        rows = np.concatenate([self.gallery.rows_of_image[image] for image in images])
        whole = len(rows) == len(self.gallery.vectors) and (rows == np.arange(len(rows))).all()
        return self.gallery.scorer if whole else self.gallery.build(self.gallery.vectors[rows])
