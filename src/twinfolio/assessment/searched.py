"""The champion as it is searched: with the neighbours, the threshold and the fits that validation chose, on test."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twinfolio.assessment.calibration import Calibration, PairSample
from twinfolio.assessment.calibration_check import CalibrationCheck, check_calibration
from twinfolio.assessment.classify import class_probabilities
from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.images import ImageSet, barred_images
from twinfolio.assessment.judgement import Contrast, Judgement, contrast, fixed, judge
from twinfolio.assessment.scene import Scene
from twinfolio.assessment.systems import System
from twinfolio.errors import DataError
from twinfolio.evaluation.open_set import best_scores, open_set_report
from twinfolio.evaluation.pairs import pair_groups
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe, load_recipe
from twinfolio.retrieval.recipe_scores import RecipeScores
from twinfolio.retrieval.scorers import BuildScorer

NAME = "search"
"""The system's name in the tables."""


@dataclass(frozen=True)
class SearchSetting:
    """What validation chose for search.

    Attributes:
        recipe: How neighbours are made better.
        threshold: Score from which two images count as one class, under the recipe.
        calibration: What scores are worth, under the recipe.
    """

    recipe: Recipe
    threshold: float
    calibration: Calibration


def read_setting(folder: Path) -> SearchSetting:
    """Read what the stage ``calibrate`` chose.

    Args:
        folder: ``outputs/calibrate/search``.

    Raises:
        DataError: A file is missing or broken.
    """
    try:
        threshold = json.loads((folder / "threshold.json").read_text(encoding="utf-8"))["threshold"]
        fits = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
        return SearchSetting(load_recipe(folder), float(threshold), Calibration.from_json(fits))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: cannot be read ({error})", "run the stage calibrate again") from None


@dataclass(frozen=True)
class Searched:
    """The champion on test as search uses it.

    Attributes:
        setting: What validation chose; a whitening is learned anew from the gallery that is searched.
        judgement: Retrieval and verification under the recipe.
        gain: Its AP minus the champion's without the recipe.
        check: How probabilities and class sets hold.
        unknown: How unknown classes are told from known ones; None where none was held out.
        gallery_vectors: float32 (R, D), train's rows, then validation's, embedded under the recipe's views.
    """

    setting: SearchSetting
    judgement: Judgement
    gain: Contrast
    check: CalibrationCheck
    unknown: dict[str, float] | None
    gallery_vectors: np.ndarray


def search_test(
    system: System,
    build: BuildScorer,
    setting: SearchSetting,
    scene: Scene,
    test_vectors: np.ndarray,
    champion: Judgement,
) -> Searched:
    """Search test as the model folder will be searched; nothing is chosen.

    Args:
        system: The champion, or the champion trained once more.
        build: Its head, see ``head_builder``.
        setting: What validation chose.
        scene: Test and its gallery.
        test_vectors: Its plain embeddings of the test rows.
        champion: Its judgement without the recipe.
    """
    plain = scene.gallery_embeddings(system.name)
    views = setting.recipe.views
    seen = replace(system, embed=setting.recipe.forward(system.embed))
    vectors = plain if views is None else np.concatenate([_embedded(seen, scene, split) for split in ("train", "val")])
    setting = replace(setting, recipe=setting.recipe.fitted(vectors))
    gallery = PreparedGallery(setting.recipe, vectors, scene.gallery.row_image, build)
    of_test = test_vectors if views is None else _embedded(seen, scene, "test")
    scores = _scores(gallery, of_test, scene.queries, scene)
    queries, items, how = scene.queries.items, scene.gallery.items, scene.resampling
    judgement = judge(NAME, system.pretrained, scores, queries, items, scene.pairs, fixed(setting.threshold), how)
    labels = scene.pairs["label"].to_numpy().astype(bool)
    probabilities = class_probabilities(system, test_vectors, scene.queries)
    check = check_calibration(
        setting.calibration,
        scores,
        queries,
        items,
        PairSample(judgement.pair_scores, labels, pair_groups(scene.pairs, queries)),
        judgement.answers,
        probabilities,
        how,
    )
    unknown = None
    if "unknown" in scene.parts:
        first = PreparedGallery(setting.recipe.first_pass, vectors, scene.gallery.row_image, build)
        unknown = _unknown(first, seen, of_test, setting.calibration, scene)
    gain = contrast(judgement.average_precision, champion.average_precision, queries.groups, how)
    return Searched(setting, judgement, gain, check, unknown, vectors)


def _embedded(system: System, scene: Scene, split: str) -> np.ndarray:
    return embed_originals(system, scene.stores[split].images, scene.parts[split], split)


def _scores(gallery: PreparedGallery, vectors: np.ndarray, queries: ImageSet, scene: Scene) -> RecipeScores:
    return RecipeScores(gallery, vectors, queries.row_image, barred_images(queries.items, scene.gallery.items))


def _unknown(
    gallery: PreparedGallery, seen: System, of_test: np.ndarray, calibration: Calibration, scene: Scene
) -> dict[str, float]:
    """Known against unknown queries; the unknown are drawn by class, since their number is small."""
    queries, others, items = scene.queries, scene.parts["unknown"], scene.gallery.items
    how = scene.resampling
    known = best_scores(_scores(gallery, of_test, queries, scene), queries.items, items)
    strange = best_scores(_scores(gallery, _embedded(seen, scene, "unknown"), others, scene), others.items, items)
    report = open_set_report(
        known.searches(queries.items).take(known.mated(queries.items.labels)),
        replace(strange.searches(others.items), groups=others.items.labels),
        calibration.unknown,
        how.n,
        how.seed,
        how.confidence,
    )
    return report | {"n_unknown_classes": float(len(np.unique(others.items.labels)))}
