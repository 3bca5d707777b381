"""The champion made ready for search on validation: its neighbours, a threshold, probabilities."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from twinfolio.assessment.ablation import Ablation, Grid, ablate
from twinfolio.assessment.calibration import Calibration, CalibrationSettings, calibrate
from twinfolio.assessment.classify import class_probabilities
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.neighbour_bench import Bench, barred_images, open_bench
from twinfolio.assessment.systems import System
from twinfolio.evaluation.pairs import pair_scores
from twinfolio.evaluation.retrieval_protocol import Items
from twinfolio.evaluation.verification import choose_threshold
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import BuildScorer
from twinfolio.retrieval.recipe_scores import RecipeScores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Readiness:
    """What search needs besides the model, all from validation.

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
        store_root: Only its ``train`` and ``val`` are opened.
        embeddings: Its file of ``embed_gallery``.
        pairs: The frozen validation pairs, ``query, archive, label``.
        grid: Methods for better neighbours, and their settings.
        latency_ms: What a method may add to one query.
        repeats: Single queries behind a time.
        criterion: What the threshold maximises.
        settings: What the fits promise.
        resampling: How intervals are made.
    """
    bench = open_bench(system, build, store_root, embeddings, resampling, repeats)
    ablation = ablate(bench, grid, latency_ms)
    gallery = bench.prepared(ablation.kept.recipe)
    queries, train = bench.parts["val"], bench.parts["train"]
    scores = _scores(bench, gallery, queries.items)
    of_pairs = pair_scores(pairs, scores, queries.items.ids, train.items.ids)
    strange = replace(queries.items, groups=_classes(queries.items))
    calibration = calibrate(
        scores,
        _scores(bench, bench.prepared(gallery.recipe.first_pass), strange, _classes(train.items)),
        queries.items,
        train.items,
        class_probabilities(system, bench.embedded(None)["val"], queries),
        settings,
    )
    threshold = choose_threshold(of_pairs, pairs["label"].to_numpy().astype(bool), criterion)
    logger.info("calibration: %s, unknown below %.3f", calibration.pairs.method, calibration.unknown)
    return Readiness(system.name, ablation, threshold, calibration)


def _scores(bench: Bench, gallery: PreparedGallery, queries: Items, groups: np.ndarray | None = None) -> RecipeScores:
    """Validation against train; a query takes no evidence from its own group."""
    val, train = bench.parts["val"], bench.parts["train"].items
    barred = barred_images(queries, train if groups is None else replace(train, groups=groups))
    return RecipeScores(gallery, bench.embedded(gallery.recipe.views)["val"], val.row_image, barred)


def _classes(items: Items) -> np.ndarray:
    """Classes in the place of groups: what an unknown query may not learn from."""
    return np.char.add("class ", items.labels.astype(str))
