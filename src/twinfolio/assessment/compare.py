"""The comparison of distances on validation: it picks the champion and every threshold, and never sees test."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from twinfolio.assessment.embeddings import embed_gallery
from twinfolio.assessment.images import ImageSet, join, originals
from twinfolio.assessment.judgement import Contrast, Decision, Judgement, Resampling, contrast, judge
from twinfolio.assessment.leak import LeakGap, leak_gap
from twinfolio.assessment.systems import System, system_scores
from twinfolio.data.store import Store, StoreInfo, read_info
from twinfolio.evaluation.pairs import PairCounts, build_pairs, pair_groups
from twinfolio.evaluation.verification import cross_fit_thresholds

logger = logging.getLogger(__name__)

_SHARES = ("accuracy", "precision", "recall", "f1", "pair_ap")
_COUNTS = ("tp", "fp", "fn", "tn")


@dataclass(frozen=True)
class PairSettings:
    """How verification pairs are drawn and decided.

    Attributes:
        positives_per_query: Positive pairs of each query, and as many negative ones.
        min_positives: A class with fewer positive pairs keeps all of them.
        folds: Folds over query groups for cross-fitted thresholds.
        criterion: What a threshold maximises.
        seed: Of the draws.
    """

    positives_per_query: int = 10
    min_positives: int = 10
    folds: int = 5
    criterion: Literal["f1", "accuracy"] = "f1"
    seed: int = 0


@dataclass(frozen=True)
class Comparison:
    """What validation says.

    Attributes:
        info: Of the store.
        queries: The validation images.
        pairs: ``query, archive, label``.
        pair_counts: What the pair list is made of.
        judged: System -> its judgement, in the order of the tables.
        champion: The distance with the highest retrieval mAP.
        runner_up: The next one; None where there is only one distance.
        lead: Champion's AP minus the runner-up's; None likewise.
        leaks: Distance -> what finding the own page again is worth, in an archive of train and validation.
        tests: ``a, b, measure`` and a ``Contrast`` for all pairs of distances.
    """

    info: StoreInfo
    queries: ImageSet
    pairs: pd.DataFrame
    pair_counts: PairCounts
    judged: dict[str, Judgement]
    champion: str
    runner_up: str | None
    lead: Contrast | None
    leaks: dict[str, LeakGap]
    tests: pd.DataFrame

    @property
    def distances(self) -> list[str]:
        """The systems among which the champion is picked."""
        return list(self.leaks)

    @property
    def tie(self) -> bool:
        """Whether the paired interval between champion and runner-up includes 0."""
        return self.lead is not None and self.lead.tie

    @property
    def thresholds(self) -> dict[str, float]:
        """System -> the threshold chosen on all validation pairs."""
        return {name: judgement.threshold for name, judgement in self.judged.items()}

    def table(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Khayyat et al.'s Table 6 for us: a row a system, every value with its interval, the counts beside it.

        Args:
            names: Systems shown; the distances by default.
        """
        return pd.DataFrame([_row(self.judged[name]) for name in names or self.distances])

    def per_query(self) -> pd.DataFrame:
        """A row a validation query: ``query, label, group, within_group`` and each distance's AP."""
        items = self.queries.items
        head = {"query": items.ids, "label": np.array(self.info.classes, dtype=object)[items.labels]}
        head |= {"group": items.groups, "within_group": self.queries.within_group.astype(int)}
        return pd.DataFrame(head | {name: self.judged[name].average_precision for name in self.distances})

    def without_within_group(self, name: str) -> float:
        """A system's mAP over the queries whose page training has not seen; not a number where there is none."""
        values = self.judged[name].average_precision[~self.queries.within_group]
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def compare_systems(
    systems: Sequence[System],
    distances: Sequence[str],
    store_root: Path,
    embeddings: Path,
    pair_settings: PairSettings,
    resampling: Resampling,
) -> Comparison:
    """Embed train and validation with every system and judge each on validation.

    Args:
        systems: All systems; thresholds are chosen for each, since ``evaluate`` chooses nothing.
        distances: Names of those among which the champion is picked.
        store_root: Only its ``train`` and ``val`` are opened.
        embeddings: Folder for ``<system>.npz``, which ``evaluate`` uses again.
        pair_settings: How pairs are drawn and decided.
        resampling: How intervals are made.
    """
    info = read_info(store_root)
    train, val = (originals(Store.open(store_root / split)) for split in ("train", "val"))
    pairs, counts = build_pairs(
        val.items, train.items, pair_settings.positives_per_query, pair_settings.min_positives, pair_settings.seed
    )
    logger.info("%d positive and %d negative validation pairs of %d queries, %d queries without a positive",
                counts.positives, counts.negatives, counts.queries, counts.queries_without_positive)  # fmt: skip
    judged, leaks = {}, {}
    everything = join(train, val)
    for system in systems:
        vectors = embed_gallery(system, store_root, embeddings / f"{system.name}.npz")
        scores = system_scores(system, vectors["val"], val, vectors["train"], train)
        judged[system.name] = judge(
            system.name,
            system.pretrained,
            scores,
            val.items,
            train.items,
            pairs,
            cross_fitting(pair_settings),
            resampling,
        )
        if system.name in distances:
            archive = np.concatenate([vectors["train"], vectors["val"]])
            among = system_scores(system, vectors["val"], val, archive, everything, "included")
            leaks[system.name] = leak_gap(among, val.items, everything.items, resampling)
    comparison = _with_champion(info, val, pairs, counts, judged, leaks, resampling)
    log_champion(comparison)
    return comparison


def cross_fitting(settings: PairSettings) -> Decision:
    """Decisions by thresholds that never saw the query's group; the one kept is chosen on all pairs."""

    def decide(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, float]:
        fit = cross_fit_thresholds(scores, labels, groups, settings.folds, settings.seed, settings.criterion)
        return fit.predictions, fit.threshold

    return decide


def log_champion(comparison: Comparison) -> None:
    """Say who won, and whether it is a tie."""
    values, lead = comparison.judged[comparison.champion].retrieval_values, comparison.lead
    logger.info("champion: %s, validation retrieval mAP %.4f", comparison.champion, values["mAP"])
    if lead is not None:
        word = "a tie with" if comparison.tie else "ahead of"
        logger.info("%s %s: difference %.4f (%.4f to %.4f), p = %.3f", word, comparison.runner_up, *lead[:4])
    lent, n = int(comparison.queries.within_group.sum()), len(comparison.queries)
    if lent:
        logger.info("%d of %d validation images come from pages that training has seen (within_group)", lent, n)


def _with_champion(
    info: StoreInfo,
    val: ImageSet,
    pairs: pd.DataFrame,
    counts: PairCounts,
    judged: dict[str, Judgement],
    leaks: dict[str, LeakGap],
    resampling: Resampling,
) -> Comparison:
    distances = list(leaks)
    # sorted() is stable: among equal ones the first distance of the list wins
    order = sorted(distances, key=lambda name: -judged[name].retrieval_values["mAP"])
    champion, runner_up = order[0], order[1] if len(order) > 1 else None
    lead = None
    if runner_up is not None:
        first, second = judged[champion].average_precision, judged[runner_up].average_precision
        lead = contrast(first, second, val.items.groups, resampling)
    tests = _all_contrasts(judged, distances, val, pair_groups(pairs, val.items), resampling)
    return Comparison(info, val, pairs, counts, judged, champion, runner_up, lead, leaks, tests)


def _all_contrasts(
    judged: dict[str, Judgement], distances: list[str], val: ImageSet, groups_of_pairs: np.ndarray, how: Resampling
) -> pd.DataFrame:
    """Every pair of distances, by AP of queries and by rightly decided pairs."""
    rows = []
    for a, b in combinations(distances, 2):
        left, right = judged[a], judged[b]
        by_query = contrast(left.average_precision, right.average_precision, val.items.groups, how)
        by_pair = contrast(left.correct.astype(float), right.correct.astype(float), groups_of_pairs, how)
        rows += [(a, b, "retrieval mAP", *by_query), (a, b, "verification accuracy", *by_pair)]
    return pd.DataFrame(rows, columns=["a", "b", "measure", *Contrast._fields])


def _row(judgement: Judgement) -> dict[str, object]:
    """One line of the table."""
    verified, retrieved = judgement.verification_values, judgement.retrieval_values
    row: dict[str, object] = {"distance": judgement.name}
    for name in _SHARES:
        row |= {f"{name}{end}": verified[f"{name}{end}"] for end in ("", "_low", "_high")}
    row |= {f"mAP{end}": retrieved[f"mAP{end}"] for end in ("", "_low", "_high")}
    row |= {name.upper(): int(verified[name]) for name in _COUNTS}
    return row | {
        "prevalence": verified["prevalence"], "n_pairs": int(verified["n_pairs"]), "threshold": judgement.threshold,
        "n_queries": int(retrieved["n_queries"]),
    }  # fmt: skip
