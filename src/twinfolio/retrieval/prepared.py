"""A gallery prepared under a recipe: the one definition of an answer, for evaluation and for serving."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twinfolio.retrieval.expansion import Expansion, blend
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import BuildScorer, Floats, Scorer
from twinfolio.retrieval.search import CANDIDATES_A_PLACE, defined_scores, near_tie, settle

Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
Near = Callable[[Floats, int], Integers]
"""From vectors (T, K) and a number of places to gallery rows (T, places), likely the nearest; -1 for none."""
NOTHING = np.empty(0, np.int64)
_MOST_SPARE = 20
_CELLS = 4_000_000
"""Scores held at once."""
SMALL = 1 << 22
"""Numbers in a gallery, times the query's tiles, up to which it is searched without compiled kernels."""


class PreparedGallery:
    """Images ranked for a query under a recipe; the score of two images is the mean over all pairs of their tiles.

    A query never takes evidence from the images barred to it: they are no answer, no neighbour it is blended with, no
    candidate of its re-ranking, and where a gallery image was blended with one, the query sees it without.

    Args:
        recipe: What is done.
        vectors: (R, D), embedded under the recipe's views.
        image_of_row: (R,) the image 0..M-1 that each row is a tile of; every image has a row.
        build: The head's scorer.
    """

    def __init__(self, recipe: Recipe, vectors: Floats, image_of_row: Integers, build: BuildScorer) -> None:
        self.recipe, self.image_of_row = recipe, np.asarray(image_of_row, dtype=np.int64)
        self.build = recipe.scorer(build)
        counts = np.bincount(self.image_of_row)
        self.n_images, self.most_tiles = len(counts), int(counts.max())
        self.rows_of_image = np.split(np.argsort(self.image_of_row, kind="stable"), np.cumsum(counts)[:-1])
        self.own = recipe.transform(vectors)
        """(R, K) before any blending."""
        self.scorer: Scorer = self.build(self.own)
        self.near: Near | None = None
        """An approximate index over ``vectors`` may be put here; without one every image is scored."""
        self.lists, self.weights = np.empty((self.n_images, 0), np.int64), np.empty((self.n_images, 0))
        if recipe.augmentation is not None:
            self._augment(recipe.augmentation)

    @property
    def vectors(self) -> Floats:
        """(R, K) that are searched."""
        return self.scorer.gallery

    @property
    def nbytes(self) -> int:
        """Bytes that stay in memory: vectors, and what the recipe keeps beside them."""
        blended = self.vectors.nbytes + self.lists.nbytes + self.weights.nbytes if self.recipe.augmentation else 0
        whitening = self.recipe.whitening
        learned = 0 if whitening is None else whitening.mean.nbytes + whitening.projection.nbytes
        return self.own.nbytes + blended + learned

    def search(self, tiles: Floats, k: int, barred: Integers = NOTHING) -> tuple[Integers, Doubles]:
        """The first k images of one query.

        Args:
            tiles: (T, D), the query's tiles, embedded under the recipe's views.
            k: Images wanted; fewer come where there are fewer.
            barred: Images it must not find or learn from.

        Returns:
            Images (k,) and their scores (k,), falling; ties by image.
        """
        images, scores, _ = self.everything(tiles, k, barred)
        return settled(images, scores, k)

    def everything(self, tiles: Floats, k: int, barred: Integers = NOTHING) -> tuple[Integers, Doubles, float]:
        """All images with their final scores, the k best exact, the others as the fast pass has them (as ``search``).

        Returns:
            Images (I,), all but the barred ones, and their scores (I,), in no order; with ``near`` those it proposes;
            and the highest score before re-ranking, -inf where there is nothing to find.
        """
        query, n = self.query(tiles, barred), self._wanted(k)
        # a small gallery is scored as a whole by the head's definition, sooner than a kernel is loaded
        small = self.near is None and self.scorer.compiled and len(query) * self.vectors.size <= SMALL
        images, scores = self._scored(query, self.n_images if small else n, barred)
        first, best = settled(images, scores, n)
        rest = ~np.isin(images, first)
        final = self._final(query, first, best, barred), self.recipe.unranked(scores[rest])
        closest = float(best[0]) if len(best) else -math.inf
        return np.concatenate([first, images[rest]]), np.concatenate(final), closest

    def query(self, tiles: Floats, barred: Integers = NOTHING) -> Floats:
        """A query's tiles (T, D) as they are compared (T, K): whitened, and blended with its neighbours."""
        query, how = self.recipe.transform(tiles), self.recipe.expansion
        if how is None:
            return query
        images, scores = self.nearest(query, how.n, barred)
        return blend(query, self._means(images, barred), how.weights(self.recipe.similarity(scores)))

    def nearest(self, query: Floats, n: int, barred: Integers = NOTHING) -> tuple[Integers, Doubles]:
        """The first n images by the scores of vectors alone, for a query as ``query`` gives it."""
        return settled(*self._scored(query, n, barred), n)

    def overrides(self, query: Floats, barred: Integers = NOTHING) -> tuple[Integers, Doubles]:
        """Images whose final score is not that of ``unranked`` vectors' scores, and their final scores."""
        touched = np.setdiff1d(self._touched(barred), barred)
        scores = self.recipe.unranked(self._scores(query, touched, barred))
        if not self.recipe.reranked:
            return touched, scores
        images, first = self.nearest(query, self.recipe.reranked, barred)
        other = ~np.isin(touched, images)
        final = self._reranked(query, images, first, barred)
        return np.concatenate([images, touched[other]]), np.concatenate([final, scores[other]])

    def _wanted(self, k: int) -> int:
        return max(k, self.recipe.reranked)

    def _places(self, n: int, n_barred: int) -> int:
        spare = (CANDIDATES_A_PLACE - 1) * min(n, _MOST_SPARE)
        return min(len(self.image_of_row), (n + spare + n_barred) * self.most_tiles)

    def _scored(self, query: Floats, n: int, barred: Integers) -> tuple[Integers, Doubles]:
        """Images and their scores of vectors, the n best exact: of all images, or of those that ``near`` proposes."""
        if self.near is not None:
            return self._proposed(query, self.near(query, self._places(n, len(barred))), barred)
        images = np.setdiff1d(np.arange(self.n_images), barred)
        if n >= len(images):
            return images, self._scores(query, images, barred)
        scores = self._by_image(self.scorer.pairwise(query)).mean(0)[images]  # in single precision
        touched = np.isin(images, self._touched(barred))  # the fast pass sees them as they are not for this query
        scores[touched] = self._scores(query, images[touched], barred)
        # rounding leaves none of the n best below
        near = (scores >= np.partition(scores, -n)[-n] - 3 * near_tie(scores)) & ~touched
        scores[near] = self._scores(query, images[near], barred)
        return images, scores

    def _proposed(self, query: Floats, rows: Integers, barred: Integers) -> tuple[Integers, Doubles]:
        """The images of some rows, -1 for none, and what may have come nearer than it seems; with exact scores."""
        found = np.union1d(self.image_of_row[rows[rows >= 0]], self._touched(barred))
        images = np.setdiff1d(found, barred)
        return images, self._scores(query, images, barred)

    def _by_image(self, pairs: Floats) -> Doubles:
        """Means over each image's rows: (S, R) -> (S, M)."""
        every = np.concatenate(self.rows_of_image)
        return means_of_parts(pairs[:, every], [len(rows) for rows in self.rows_of_image])

    def _scores(self, query: Floats, images: Integers, barred: Integers) -> Doubles:
        """Scores of vectors (I,) by the head's own definition: the mean over all pairs of tiles."""
        if not len(images):
            return np.empty(0)
        rows = [self.rows_of_image[image] for image in images]
        scorer, every = self.scorer, np.concatenate(rows)
        if np.isin(images, self._touched(barred)).any():
            scorer, every = self.build(self._rows(images, barred)), np.arange(len(every))
        pairs = defined_scores(scorer, query, np.broadcast_to(every, (len(query), len(every))))
        return means_of_parts(pairs.mean(0), [len(part) for part in rows])

    def _final(self, query: Floats, images: Integers, scores: Doubles, barred: Integers) -> Doubles:
        """Final scores (I,) of the first images, all candidates among them, from their scores of vectors."""
        final = self.recipe.unranked(scores)
        if self.recipe.reranked:
            first = images[: self.recipe.reranked]
            final[: len(first)] = self._reranked(query, first, scores[: len(first)], barred)
        return final

    def _reranked(self, query: Floats, images: Integers, scores: Doubles, barred: Integers) -> Doubles:
        """Final scores (I,) of the candidates of one query."""
        if not len(images):
            return np.empty(0)
        rows, counts = self._rows(images, barred), [len(self.rows_of_image[image]) for image in images]
        if self.recipe.matched is not None:
            return scores + means_of_parts(self.recipe.matched.gains(query, rows).mean(0), counts)
        how = self.recipe.reciprocal
        assert how is not None
        pairs = self.build(rows).pairwise(rows).astype(np.float64)
        half = means_of_parts(pairs, counts)
        among = means_of_parts(half.T, counts).T
        similarity = np.ones((len(images) + 1,) * 2)
        similarity[0, 1:] = similarity[1:, 0] = self.recipe.similarity(scores)
        similarity[1:, 1:] = self.recipe.similarity((among + among.T) / 2)
        return how.scores(similarity)

    def _augment(self, how: Expansion) -> None:
        """Blend every image's tiles with the means of its neighbours."""
        n, places = min(how.n, self.n_images - 1), min(how.n + _MOST_SPARE, self.n_images)
        self.lists, self.weights = np.full((self.n_images, n), -1), np.zeros((self.n_images, n))
        block = max(1, _CELLS // (len(self.own) * self.most_tiles))
        for start in range(0, self.n_images, block) if n else ():
            part = np.arange(start, min(start + block, self.n_images))
            tiles = [self.rows_of_image[image] for image in part]
            by_tile = self._by_image(self.scorer.pairwise(self.own[np.concatenate(tiles)]))
            scores = means_of_parts(by_tile.T, [len(rows) for rows in tiles]).T
            scores[part - start, part] = -np.inf
            near = np.argpartition(-scores, places - 1, axis=1)[:, :places]
            best, self.lists[part] = settle(np.take_along_axis(scores, near, 1), near, n)
            self.weights[part] = how.weights(self.recipe.similarity(best))
        blended = [self._blended(image, NOTHING) for image in range(self.n_images)]
        vectors = np.empty_like(self.own)
        vectors[np.concatenate(self.rows_of_image)] = np.concatenate(blended)
        self.scorer = self.build(vectors)

    def _blended(self, image: int, barred: Integers) -> Floats:
        """An image's tiles as the gallery holds them, without what it has of barred images."""
        members = self.lists[image]
        weights = np.where((members < 0) | np.isin(members, barred), 0.0, self.weights[image])
        return blend(self.own[self.rows_of_image[image]], self._own_means[members], weights)

    @cached_property
    def _own_means(self) -> Floats:
        """Mean of each image's tiles (M, K) before any blending."""
        if self.most_tiles == 1:
            return self.own[np.concatenate(self.rows_of_image)]
        return np.stack([self.own[rows].mean(0) for rows in self.rows_of_image])

    def _touched(self, barred: Integers) -> Integers:
        """Images that were blended with a barred one."""
        if not len(barred) or not self.lists.size:
            return NOTHING
        return np.flatnonzero(np.isin(self.lists, barred).any(1))

    def _rows(self, images: Integers, barred: Integers) -> Floats:
        """The tiles (S, K) of some images as a query sees them."""
        touched = set(self._touched(barred).tolist())
        vectors = self.vectors
        return np.concatenate(
            [self._blended(i, barred) if i in touched else vectors[self.rows_of_image[i]] for i in images.tolist()]
        )

    def _means(self, images: Integers, barred: Integers) -> Floats:
        """Mean of each image's tiles (I, K) as a query sees them."""
        if not len(images):
            return np.empty((0, self.own.shape[1]), np.float32)
        counts = [len(self.rows_of_image[image]) for image in images]
        return np.asarray(means_of_parts(self._rows(images, barred).T, counts).T, dtype=np.float32)


def settled(images: Integers, scores: Doubles, n: int) -> tuple[Integers, Doubles]:
    """The first n of images (I,) and their scores (I,), near-ties by image."""
    if not len(images) or n < 1:
        return NOTHING, np.empty(0)
    n = min(n, len(images))
    # what might share the last place: settling more is slow
    near = scores >= np.partition(scores, -n)[-n] - 2 * near_tie(scores)
    best, found = settle(scores[None, near], images[None, near], n)
    return found[0], best[0]


def means_of_parts(values: NDArray[np.floating], counts: Sequence[int]) -> Doubles:
    """Means of neighbouring columns (..., S) -> (..., I), the i-th of ``counts[i]`` columns."""
    starts = np.cumsum([0, *counts[:-1]])
    return np.asarray(np.add.reduceat(values.astype(np.float64), starts, axis=-1) / np.asarray(counts))
