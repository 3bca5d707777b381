"""The champion made ready for search on validation: its neighbours, a threshold, probabilities."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from twinfolio.assessment.ablation import Ablation, Grid, ablate, as_it_is
from twinfolio.assessment.calibration import Calibration, CalibrationSettings, Impostors, calibrate
from twinfolio.assessment.classify import class_probabilities
from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.images import ImageSet, barred_images
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.neighbour_bench import Bench, open_bench
from twinfolio.assessment.systems import System
from twinfolio.assessment.unknown import unknown_images
from twinfolio.data.manifest import UNKNOWN
from twinfolio.data.store import Store, read_info
from twinfolio.evaluation.open_set import best_scores, impostor_scores
from twinfolio.evaluation.pairs import pair_scores
from twinfolio.evaluation.retrieval_protocol import Items
from twinfolio.evaluation.verification import choose_threshold
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.scorers import BuildScorer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Readiness:
    """What search needs besides the model, all without test.

    Attributes:
        champion: The system's name.
        ablation: The methods for better neighbours, and the one that is kept.
        threshold: Score from which two images count as one class under the recipe that is kept.
        calibration: The fits under that recipe.
    """

    champion: str
    ablation: Ablation
    threshold: float
    calibration: Calibration


def make_ready(
    system: System,
    build: BuildScorer,
    store_root: Path,
    embeddings: Path,
    pairs: pd.DataFrame,
    *,
    grid: Grid,
    latency_ms: float,
    repeats: int,
    criterion: Literal["f1", "accuracy"],
    settings: CalibrationSettings,
    resampling: Resampling,
) -> Readiness:
    """Choose how the champion is searched, then fit what its scores are worth.

    Args:
        system: The champion.
        build: Its head, see ``head_builder``.
        store_root: Only its ``train``, its ``val`` and every second class of its ``unknown`` are read.
        embeddings: Its file of ``embed_gallery``.
        pairs: The frozen validation pairs, ``query, archive, label``.
        grid: Methods for better neighbours, and their settings; not tried where the champion has its own recipe.
        latency_ms: What a method may add to one query.
        repeats: Single queries behind a time.
        criterion: What the threshold maximises.
        settings: What the fits promise.
        resampling: How intervals are made.
    """
    bench = open_bench(system, build, store_root, embeddings, resampling, repeats)
    own = None if system.search is None else system.search[0]
    ablation = ablate(bench, grid, latency_ms) if own is None else as_it_is(bench, own, latency_ms)
    gallery = bench.prepared(ablation.kept.recipe)
    queries, train = bench.parts["val"], bench.parts["train"]
    scores = _scores(gallery, bench.embedded(gallery.recipe.views)["val"], queries, train.items)
    of_pairs = pair_scores(pairs, scores, queries.items.ids, train.items.ids)
    calibration = calibrate(
        scores,
        _impostors(bench, gallery.recipe, store_root),
        queries.items,
        train.items,
        class_probabilities(system, bench.embedded(None)["val"], queries),
        settings,
    )
    threshold = choose_threshold(of_pairs, pairs["label"].to_numpy().astype(bool), criterion)
    logger.info("calibration: %s, unknown below %.3f", calibration.pairs.method, calibration.unknown)
    return Readiness(system.name, ablation, threshold, calibration)


def _impostors(bench: Bench, recipe: Recipe, store_root: Path) -> Impostors:
    """The best scores, before re-ranking, of held-out classes; where there is none, of known classes left out."""
    gallery, val, train = bench.prepared(recipe.first_pass), bench.parts["val"], bench.parts["train"].items
    held_out = Store.open(store_root / UNKNOWN) if read_info(store_root).unknown_classes else None
    strange = None if held_out is None else unknown_images(held_out, "threshold")
    if held_out is None or strange is None:
        # classes in the place of groups: what an unknown query may not take evidence from
        left_out = replace(val, items=replace(val.items, groups=_classes(val.items)))
        others = replace(train, groups=_classes(train))
        scores = _scores(gallery, bench.embedded(recipe.views)["val"], left_out, others)
        return Impostors(impostor_scores(scores, val.items, train), 0)
    seen = replace(bench.system, embed=recipe.forward(bench.system.embed))
    vectors = embed_originals(seen, held_out.images, strange, UNKNOWN)
    best = best_scores(_scores(gallery, vectors, strange, train), strange.items, train)
    return Impostors(best.searches(strange.items).scores, len(np.unique(strange.items.labels)))


def _scores(gallery: PreparedGallery, vectors: np.ndarray, queries: ImageSet, train: Items) -> RecipeScores:
    """Against train; a query takes no evidence from its own group."""
    return RecipeScores(gallery, vectors, queries.row_image, barred_images(queries.items, train))


def _classes(items: Items) -> np.ndarray:
    """A group for each class."""
    return np.char.add("class ", items.labels.astype(str))
