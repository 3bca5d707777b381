"""The one pass over test: every system in one protocol, with thresholds and champion given, and nothing chosen."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.assessment.classify import Classified, classified, nearest_votes
from twinfolio.assessment.embeddings import embed_originals, load_embeddings
from twinfolio.assessment.examples import Example, examples
from twinfolio.assessment.calibration import Calibration, CalibrationCheck, PairSample, check_calibration
from twinfolio.assessment.images import ImageScores, ImageSet, image_values, join, originals
from twinfolio.assessment.judgement import Contrast, Decision, Judgement, Resampling, contrast, judge
from twinfolio.assessment.leak import LeakGap, leak_gap
from twinfolio.assessment.systems import System
from twinfolio.data.store import Store, StoreInfo, read_info
from twinfolio.errors import DataError
from twinfolio.evaluation.pairs import PairCounts, build_pairs
from twinfolio.evaluation.reports import retrieval_report
from twinfolio.evaluation.retrieval_protocol import leave_one_out
from twinfolio.evaluation.verification import accept

logger = logging.getLogger(__name__)

NEIGHBOURS = (1, 5)
"""Numbers of neighbours that vote in the nearest-image classification."""


@dataclass(frozen=True)
class Tested:
    """One system on test.

    Attributes:
        judgement: Retrieval with the own group left out, and verification.
        leak: What finding the own page again is worth, in an archive of all images, test among them.
        inside: Leave-one-out inside test over classes with two groups there; None where no class has.
        nearest: Neighbours -> classification by their vote.
        layer: Classification by the system's class layer; None where it has none.
        against: The champion's AP minus this system's; None for the champion.
    """

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
        info: Of the store.
        queries: The test images.
        gallery_parts: ``train`` and ``val``, the gallery.
        pairs: ``query, archive, label``.
        pair_counts: What the pair list is made of.
        tested: System -> result, in the order of the tables.
        champion: The distance picked on validation, or ``refit``.
        gallery_embeddings: float32 (R, D), the champion's, rows as ``gallery_table`` has them.
        sheet: Queries with their first answers.
    """

    info: StoreInfo
    queries: ImageSet
    gallery_parts: dict[str, ImageSet]
    pairs: pd.DataFrame
    pair_counts: PairCounts
    tested: dict[str, Tested]
    champion: str
    gallery_embeddings: np.ndarray
    sheet: list[list[Example]]

    @property
    def n_test_classes(self) -> int:
        """Classes with test images: what macro means run over."""
        return len(np.unique(self.queries.items.labels))


@dataclass(frozen=True)
class _Scene:
    """What all systems share."""

    store: Store
    queries: ImageSet
    gallery_parts: dict[str, ImageSet]
    gallery: ImageSet
    pairs: pd.DataFrame
    n_classes: int
    embeddings: Mapping[str, Path]
    resampling: Resampling


def evaluate_systems(
    systems: Sequence[System],
    *,
    champion: str,
    thresholds: dict[str, float],
    store_root: Path,
    embeddings: Mapping[str, Path],
    positives_per_query: int,
    min_positives: int,
    sheet_queries: int,
    resampling: Resampling,
) -> Evaluation:
    """Score test once.

    Args:
        systems: All systems, the champion among them.
        champion: Its name: the distance picked on validation, or ``refit``.
        thresholds: System -> threshold, chosen on validation.
        store_root: The store.
        embeddings: System -> the file of ``embed_gallery``.
        positives_per_query: Positive pairs of each query, and as many negative ones.
        min_positives: A class with fewer positive pairs keeps all of them.
        sheet_queries: Queries on the contact sheet.
        resampling: How intervals are made; its seed also draws the pairs.

    Raises:
        DataError: A system has no threshold, or its embeddings are of other images.
    """
    info = read_info(store_root)
    stores = {split: Store.open(store_root / split) for split in ("train", "val", "test")}
    parts = {split: originals(stores[split]) for split in ("train", "val")}
    queries, gallery = originals(stores["test"]), join(parts["train"], parts["val"])
    pairs, counts = build_pairs(queries.items, gallery.items, positives_per_query, min_positives, resampling.seed)
    scene = _Scene(stores["test"], queries, parts, gallery, pairs, len(info.classes), embeddings, resampling)
    tested = {system.name: _test(system, scene, _threshold(thresholds, system.name)) for system in systems}
    best = tested[champion].judgement
    sheet = examples(best.answers, queries, gallery, stores["test"], [stores["train"], stores["val"]], sheet_queries)
    evaluation = Evaluation(
        info, queries, parts, pairs, counts, _contrasted(tested, champion, scene), champion,
        _gallery_embeddings(scene, champion), sheet,
    )  # fmt: skip
    _log(evaluation)
    return evaluation


def _test(system: System, scene: _Scene, threshold: float) -> Tested:
    """Embed test with one system, score it against the gallery and itself, and judge."""
    how = (scene.resampling.n, scene.resampling.seed, scene.resampling.confidence)
    queries, gallery = scene.queries.items, scene.gallery.items
    vectors = embed_originals(system, scene.store.images, scene.queries, "test")
    of_gallery = _gallery_embeddings(scene, system.name)
    scores = ImageScores(system.scores, vectors, scene.queries, of_gallery, scene.gallery)
    judgement = judge(
        system.name, system.pretrained, scores, queries, gallery, scene.pairs, _fixed(threshold), scene.resampling
    )
    among = leave_one_out(ImageScores(system.scores, vectors, scene.queries, vectors, scene.queries), queries)
    everything = join(scene.gallery, scene.queries)
    archive = ImageScores(
        system.scores, vectors, scene.queries, np.concatenate([of_gallery, vectors]), everything
    )
    ranking = judgement.answers
    votes = {k: nearest_votes(ranking, gallery.labels, scene.n_classes, k) for k in NEIGHBOURS}
    layer = None
    if system.classify is not None:
        layer = classified(image_values(system.classify(vectors), scene.queries), queries, scene.resampling)
    return Tested(
        judgement=judgement,
        leak=leak_gap(archive, queries, everything.items, scene.resampling),
        inside=None if among is None else retrieval_report(among, *how),
        nearest={k: classified(vote, queries, scene.resampling) for k, vote in votes.items()},
        layer=layer,
    )


def _fixed(threshold: float) -> Decision:
    """Decisions by a threshold from validation."""
    return lambda scores, labels, groups: (accept(scores, threshold), threshold)


def _threshold(thresholds: dict[str, float], name: str) -> float:
    """The system's threshold, or the error that says which are known."""
    if name not in thresholds:
        raise DataError(
            f"no validation threshold for {name} (known: {', '.join(sorted(thresholds))})",
            "run the stage compare_distances again",
        )
    return thresholds[name]


def _gallery_embeddings(scene: _Scene, name: str) -> np.ndarray:
    """Train's rows, then validation's, as ``embed_gallery`` saved them."""
    path = scene.embeddings[name]
    return np.concatenate([load_embeddings(path, split, of) for split, of in scene.gallery_parts.items()])


def _contrasted(tested: dict[str, Tested], champion: str, scene: _Scene) -> dict[str, Tested]:
    """Each system with its paired difference to the champion."""
    best = tested[champion].judgement.average_precision
    groups = scene.queries.items.groups
    out = {}
    for name, result in tested.items():
        against = None
        if name != champion:
            against = contrast(best, result.judgement.average_precision, groups, scene.resampling)
        out[name] = Tested(result.judgement, result.leak, result.inside, result.nearest, result.layer, against)
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
