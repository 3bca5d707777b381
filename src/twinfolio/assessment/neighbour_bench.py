"""What every recipe is judged on: the champion, its head, and validation against train, timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinfolio.assessment.embeddings import GALLERY, embed_originals, load_embeddings
from twinfolio.assessment.images import ImageSet, barred_images, originals
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.systems import System
from twinfolio.data.store import Store
from twinfolio.evaluation.retrieval_protocol import RetrievalResult, retrieval_protocol
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.scorers import BuildScorer
from twinfolio.retrieval.views import Views

_K = 10
_WARM_UP = 2


@dataclass(frozen=True)
class Bench:
    """What every recipe is judged on.

    Attributes:
        system: Embeds images.
        build: The head's scorer.
        stores: ``train`` and ``val``.
        parts: Their original images.
        vectors: Views -> split -> (R, D); holds at least the plain ones, under None.
        resampling: How intervals are made.
        repeats: Single queries that a time is the median of.
        clock: Seconds.
    """

    system: System
    build: BuildScorer
    stores: dict[str, Store]
    parts: dict[str, ImageSet]
    vectors: dict[Views | None, dict[str, np.ndarray]]
    resampling: Resampling
    repeats: int
    clock: Callable[[], float] = time.perf_counter

    def embedded(self, views: Views | None) -> dict[str, np.ndarray]:
        """Split -> (R, D) under some views, computed once."""
        if views not in self.vectors:
            seen = replace(self.system, embed=Recipe(views=views).forward(self.system.embed))
            self.vectors[views] = {
                split: embed_originals(seen, self.stores[split].images, self.parts[split], f"{split} in views")
                for split in GALLERY
            }
        return self.vectors[views]

    def prepared(self, recipe: Recipe) -> PreparedGallery:
        """Train under a recipe."""
        train = self.parts["train"]
        return PreparedGallery(recipe, self.embedded(recipe.views)["train"], train.row_image, self.build)

    def retrieval(self, gallery: PreparedGallery) -> RetrievalResult:
        """Validation against train; the query's own group is no answer and lends no evidence."""
        queries, train = self.parts["val"], self.parts["train"].items
        vectors = self.embedded(gallery.recipe.views)["val"]
        ranked = RecipeScores(gallery, vectors, queries.row_image, barred_images(queries.items, train))
        return retrieval_protocol(ranked, queries.items, train)

    def embed_ms(self, views: Views | None) -> float:
        """Median time to embed one image."""
        forward = Recipe(views=views).forward(self.system.embed)
        images, of = self.stores["val"].images, self.parts["val"]
        return self._median_ms(lambda query: forward(np.asarray(images[of.rows[of.row_image == query]])))

    def rank_ms(self, gallery: PreparedGallery) -> float:
        """Median time from the embeddings of one query to its top 10."""
        vectors, owner = self.embedded(gallery.recipe.views)["val"], self.parts["val"].row_image
        return self._median_ms(lambda query: gallery.search(vectors[owner == query], _K))

    def _median_ms(self, task: Callable[[int], object]) -> float:
        seconds = []
        for repeat in range(_WARM_UP + self.repeats):
            start = self.clock()
            task(repeat % len(self.parts["val"]))
            seconds.append(self.clock() - start)
        return 1000 * statistics.median(seconds[_WARM_UP:])


def open_bench(
    system: System, build: BuildScorer, store_root: Path, embeddings: Path, resampling: Resampling, repeats: int
) -> Bench:
    """A bench for the champion.

    Args:
        system: The champion.
        build: Its head, see ``head_builder``.
        store_root: Only its ``train`` and ``val`` are opened.
        embeddings: The champion's file of ``embed_gallery``.
        resampling: How intervals are made.
        repeats: Single queries that a time is the median of.
    """
    stores = {split: Store.open(store_root / split) for split in GALLERY}
    parts = {split: originals(store) for split, store in stores.items()}
    vectors = {split: load_embeddings(embeddings, split, parts[split]) for split in GALLERY}
    return Bench(system, build, stores, parts, {None: vectors}, resampling, repeats)
