"""The one pass over test: every system in one protocol, with thresholds and champion given, and nothing chosen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinfolio.assessment.classify import Classified, class_probabilities, classified, nearest_votes
from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.examples import Example, examples
from twinfolio.assessment.few_shot import FewShot, TrialPlan, few_shot
from twinfolio.assessment.images import ImageSet
from twinfolio.assessment.judgement import Contrast, Judgement, contrast, fixed, judge
from twinfolio.assessment.leak import LeakGap, leak_gap
from twinfolio.assessment.scene import Scene
from twinfolio.assessment.searched import Searched, SearchSetting, search_test
from twinfolio.assessment.systems import System, system_scores
from twinfolio.data.store import StoreInfo
from twinfolio.errors import DataError
from twinfolio.evaluation.reports import retrieval_report
from twinfolio.evaluation.retrieval_protocol import leave_one_out
from twinfolio.retrieval.scorers import BuildScorer

logger = logging.getLogger(__name__)

NEIGHBOURS = (1, 5)
"""Numbers of neighbours that vote in the nearest-image classification."""


@dataclass(frozen=True)
class Tested:
    """One system on test.

    Attributes:
        vectors: float32 (R, D), the test rows.
        judgement: Retrieval with the own group left out, and verification.
        leak: What finding the own page again is worth, in an archive of all images, test among them.
        inside: Leave-one-out inside test over classes with two groups there; None where no class has.
        nearest: Neighbours -> classification by their vote.
        layer: Classification by the system's class layer; None where it has none.
        against: The champion's AP minus this system's; None for the champion.
    """

    vectors: np.ndarray
    judgement: Judgement
    leak: LeakGap
    inside: dict[str, float] | None
    nearest: dict[int, Classified]
    layer: Classified | None
    against: Contrast | None = None


@dataclass(frozen=True)
class Evaluation:
    """What test says.

    Attributes:
        scene: The test images, the gallery, the pairs.
        tested: System -> result, in the order of the tables.
        champion: The system picked on validation, or ``refit``.
        searched: The champion as search uses it.
        sheet: Queries with their first answers.
        few_shot: Trials of the champion among learned and among new classes.
    """

    scene: Scene
    tested: dict[str, Tested]
    champion: str
    searched: Searched
    sheet: list[list[Example]]
    few_shot: list[FewShot]

    @property
    def info(self) -> StoreInfo:
        """Of the store."""
        return self.scene.info

    @property
    def queries(self) -> ImageSet:
        """The test images."""
        return self.scene.queries

    @property
    def n_test_classes(self) -> int:
        """Classes with test images: what macro means run over."""
        return len(np.unique(self.queries.items.labels))


def evaluate_systems(
    systems: Sequence[System],
    scene: Scene,
    *,
    champion: str,
    build: BuildScorer,
    thresholds: dict[str, float],
    search: SearchSetting,
    sheet_queries: int,
    trials: TrialPlan,
) -> Evaluation:
    """Score test once.

    Args:
        systems: All systems, the champion among them.
        scene: Test, and what it is held against.
        champion: Its name: the system picked on validation, or ``refit``.
        build: The champion's head, see ``head_builder``.
        thresholds: System -> threshold, chosen on validation.
        search: How the champion is searched, chosen on validation.
        sheet_queries: Queries on the contact sheet.
        trials: N-way K-shot trials to ask.

    Raises:
        DataError: A system has no threshold, or its embeddings are of other images.
    """
    tested = {system.name: _test(system, scene, _threshold(thresholds, system.name)) for system in systems}
    best = next(system for system in systems if system.name == champion)
    judged = tested[champion].judgement
    searched = search_test(best, build, search, scene, tested[champion].vectors, judged)
    stores = scene.stores
    sheet = examples(
        judged.answers, scene.queries, scene.gallery, stores["test"], [stores["train"], stores["val"]], sheet_queries
    )
    asked = few_shot(best, scene, tested[champion].vectors, trials)
    evaluation = Evaluation(scene, _contrasted(tested, champion, scene), champion, searched, sheet, asked)
    _log(evaluation)
    return evaluation


def _test(system: System, scene: Scene, threshold: float) -> Tested:
    """Embed test with one system, score it against the gallery and itself, and judge."""
    resampling, test = scene.resampling, scene.queries
    queries, gallery = test.items, scene.gallery.items
    vectors = embed_originals(system, scene.stores["test"].images, test, "test")
    of_gallery = scene.gallery_embeddings(system.name)
    scores = system_scores(system, vectors, test, of_gallery, scene.gallery)
    judgement = judge(
        system.name, system.pretrained, scores, queries, gallery, scene.pairs, fixed(threshold), resampling
    )
    everything = np.concatenate([of_gallery, vectors])
    archive = system_scores(system, vectors, test, everything, scene.archive, "included")
    among = leave_one_out(system_scores(system, vectors, test, vectors, test), queries)
    n_classes = len(scene.info.classes)
    votes = {k: nearest_votes(judgement.answers, gallery.labels, n_classes, k) for k in NEIGHBOURS}
    probabilities = class_probabilities(system, vectors, test)
    layer = None if probabilities is None else classified(probabilities, queries, resampling)
    how = (resampling.n, resampling.seed, resampling.confidence)
    return Tested(
        vectors=vectors,
        judgement=judgement,
        leak=leak_gap(archive, queries, scene.archive.items, resampling),
        inside=None if among is None else retrieval_report(among, *how),
        nearest={k: classified(vote, queries, resampling) for k, vote in votes.items()},
        layer=layer,
    )


def _threshold(thresholds: dict[str, float], name: str) -> float:
    """The system's threshold, or the error that says which are known."""
    if name not in thresholds:
        raise DataError(
            f"no validation threshold for {name} (known: {', '.join(sorted(thresholds))})",
            "run the stage compare_distances again",
        )
    return thresholds[name]


def _contrasted(tested: dict[str, Tested], champion: str, scene: Scene) -> dict[str, Tested]:
    """Each system with its paired difference to the champion."""
    best = tested[champion].judgement.average_precision
    groups = scene.queries.items.groups
    out = {}
    for name, result in tested.items():
        against = None
        if name != champion:
            against = contrast(best, result.judgement.average_precision, groups, scene.resampling)
        out[name] = replace(result, against=against)
    return out


def _log(evaluation: Evaluation) -> None:
    """The headline numbers, and over how many classes macro means run."""
    logger.info("%d test images of %d classes (of %d): macro means run over these",
                len(evaluation.queries), evaluation.n_test_classes, len(evaluation.info.classes))  # fmt: skip
    for name, result in evaluation.tested.items():
        values = result.judgement.retrieval_values
        mark = " (champion)" if name == evaluation.champion else ""
        logger.info("%s%s: retrieval mAP %.4f (%.4f to %.4f)", name, mark, values["mAP"], values["mAP_low"],
                    values["mAP_high"])  # fmt: skip
