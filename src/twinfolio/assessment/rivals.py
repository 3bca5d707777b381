"""Nets against classical descriptors on the same images: verification, retrieval and planted near-duplicates.

Validation sets every threshold and names the best classical system; test chooses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.assessment.compare import Comparison, compare_systems
from twinfolio.assessment.embeddings import embed_originals, load_embeddings
from twinfolio.assessment.images import join, originals
from twinfolio.assessment.judgement import Contrast, Judgement, Resampling, contrast, fixed, judge
from twinfolio.assessment.planted import Planted, plant_copies, planted_scores
from twinfolio.assessment.scene import Scene
from twinfolio.assessment.systems import System, system_scores
from twinfolio.assessment.validation_bench import PairSettings
from twinfolio.data.store import Store
from twinfolio.evaluation.pairs import pair_groups
from twinfolio.evaluation.planted import PlantedScores, planted_report

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planting:
    """How many images of a split are copied, drawn by which seed."""

    originals: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Thresholds:
    """A system's thresholds, chosen on validation: of verification pairs, and of planted copies."""

    pairs: float
    planted: float


@dataclass(frozen=True)
class Choices:
    """What validation hands to test.

    Attributes:
        thresholds: System -> its thresholds.
        best_retrieval: The classical system with the highest retrieval mAP.
        best_planted: The classical system with the highest F1 over planted copies; of equal ones that which most often
            has the original first.
    """

    thresholds: dict[str, Thresholds]
    best_retrieval: str
    best_planted: str

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, object]) -> Choices:
        """What ``as_json`` gave."""
        thresholds = values["thresholds"]
        assert isinstance(thresholds, dict)
        of_systems = {name: Thresholds(**one) for name, one in thresholds.items()}
        return cls(of_systems, str(values["best_retrieval"]), str(values["best_planted"]))


@dataclass(frozen=True)
class Validated:
    """What validation says.

    Attributes:
        choices: What test is judged by.
        comparison: Verification and retrieval; its best distance is the best classical system.
        planted: System -> ``planted_report``; the threshold is chosen on these very copies.
    """

    choices: Choices
    comparison: Comparison
    planted: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Outcome:
    """One system on test.

    Attributes:
        judgement: Verification and retrieval.
        planted: Scores of the copies of test images.
        planted_values: ``planted_report`` of them.
        threshold: Of planted copies.
    """

    judgement: Judgement
    planted: PlantedScores
    planted_values: dict[str, float]
    threshold: float


def validate(
    systems: Sequence[System],
    classical: Sequence[str],
    store_root: Path,
    embeddings: Path,
    pairs: PairSettings,
    planting: Planting,
    resampling: Resampling,
) -> Validated:
    """Judge every system on validation.

    Args:
        systems: All of them.
        classical: Names of the classical ones.
        store_root: Only its ``train`` and ``val`` are opened.
        embeddings: Folder for ``<system>.npz``.
        pairs: How verification pairs are drawn and decided.
        planting: How copies are planted.
        resampling: How intervals are made.
    """
    comparison = compare_systems(systems, classical, store_root, embeddings, pairs, resampling)
    store = Store.open(store_root / "val")
    parts = {"train": originals(Store.open(store_root / "train")), "val": originals(store)}
    planted = plant_copies(store, parts["val"], planting.originals, planting.seed)
    reports: dict[str, dict[str, float]] = {}
    for system in systems:
        vectors = [load_embeddings(embeddings / f"{system.name}.npz", split, of) for split, of in parts.items()]
        scores = planted_scores(system, planted, join(parts["train"], parts["val"]), np.concatenate(vectors))
        reports[system.name] = _report(scores, scores.threshold(pairs.criterion), resampling)
        logger.info("%s: F1 %.4f over planted copies", system.name, reports[system.name]["f1"])
    best = max(classical, key=lambda name: (reports[name]["f1"], reports[name]["recall@1"]))
    thresholds = {name: Thresholds(comparison.thresholds[name], one["threshold"]) for name, one in reports.items()}
    return Validated(Choices(thresholds, comparison.distance, best), comparison, reports)


def score_test(
    systems: Sequence[System], choices: Choices, scene: Scene, planting: Planting
) -> tuple[dict[str, Outcome], Planted]:
    """Score test once, with what validation chose.

    The copies' gallery is train and test, as on validation it is train and validation.

    Args:
        systems: All of them.
        choices: From ``validate``.
        scene: Test, and what it is held against.
        planting: As on validation.

    Returns:
        System -> outcome, and the copies.
    """
    planted = plant_copies(scene.stores["test"], scene.queries, planting.originals, planting.seed)
    gallery = join(scene.parts["train"], scene.queries)
    outcomes = {}
    for system in systems:
        chosen, vectors = choices.thresholds[system.name], _test_vectors(system, scene)
        train = load_embeddings(scene.embeddings[system.name], "train", scene.parts["train"])
        scores = planted_scores(system, planted, gallery, np.concatenate([train, vectors]))
        values = _report(scores, chosen.planted, scene.resampling)
        judged = _judge(system, scene, vectors, chosen.pairs)
        outcomes[system.name] = Outcome(judged, scores, values, chosen.planted)
        logger.info("%s: retrieval mAP %.4f, F1 %.4f over planted copies", system.name,
                    judged.retrieval_values["mAP"], values["f1"])  # fmt: skip
    return outcomes, planted


def contrasts(
    outcomes: Mapping[str, Outcome], first: str, choices: Choices, others: Sequence[str], scene: Scene
) -> pd.DataFrame:
    """Paired tests of one system against the best classical ones and against others.

    Args:
        outcomes: System -> outcome.
        first: The system.
        choices: They name the best classical systems, one by retrieval and one by planted copies.
        others: Further systems.
        scene: Test.

    Returns:
        ``a, b, measure`` and a ``Contrast``; groups of originals, queries or pairs are drawn and exchanged as a whole.
    """
    rows = []
    a = outcomes[first]
    for name in dict.fromkeys([choices.best_retrieval, *others]):
        rows += [(first, name, measure, *one) for measure, one in _of_queries(a, outcomes[name], scene)]
    for name in dict.fromkeys([choices.best_planted, *others]):
        rows += [(first, name, measure, *one) for measure, one in _of_copies(a, outcomes[name], scene.resampling)]
    return pd.DataFrame(rows, columns=["a", "b", "measure", *Contrast._fields])


def _report(scores: PlantedScores, threshold: float, how: Resampling) -> dict[str, float]:
    return planted_report(scores, threshold, how.n, how.seed, how.confidence)


def _test_vectors(system: System, scene: Scene) -> np.ndarray:
    return embed_originals(system, scene.stores["test"].images, scene.queries, "test")


def _judge(system: System, scene: Scene, vectors: np.ndarray, threshold: float) -> Judgement:
    """Test queries against train and validation, the pairs at validation's threshold."""
    of_gallery = scene.gallery_embeddings(system.name)
    scores = system_scores(system, vectors, scene.queries, of_gallery, scene.gallery)
    queries, gallery = scene.queries.items, scene.gallery.items
    return judge(
        system.name, system.pretrained, scores, queries, gallery, scene.pairs, fixed(threshold), scene.resampling
    )


def _of_queries(a: Outcome, b: Outcome, scene: Scene) -> list[tuple[str, Contrast]]:
    """Differences in retrieval and verification."""
    queries, how = scene.queries.items, scene.resampling
    left, right = a.judgement, b.judgement
    by_query = contrast(left.average_precision, right.average_precision, queries.groups, how)
    by_pair = contrast(left.correct.astype(float), right.correct.astype(float), pair_groups(scene.pairs, queries), how)
    return [("retrieval mAP", by_query), ("verification accuracy", by_pair)]


def _of_copies(a: Outcome, b: Outcome, how: Resampling) -> list[tuple[str, Contrast]]:
    """Differences in copies that are found."""
    left, right = (one.planted.found(one.threshold).astype(float) for one in (a, b))
    found = contrast(left, right, a.planted.groups, how)
    first = contrast(a.planted.first(), b.planted.first(), a.planted.groups, how)
    return [("planted recall", found), ("planted recall@1", first)]
