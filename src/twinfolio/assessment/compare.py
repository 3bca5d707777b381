"""The comparison of systems on validation: it picks the champion and every threshold, and never sees test."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.assessment.choice import Candidate, Choice, Kind, choose_champion
from twinfolio.assessment.embeddings import embed_gallery
from twinfolio.assessment.images import ImageSet
from twinfolio.assessment.joined import combinations_tried, join_parts, members_of, part_of
from twinfolio.assessment.judgement import Contrast, Judgement, Resampling, contrast
from twinfolio.assessment.leak import LeakGap
from twinfolio.assessment.systems import System
from twinfolio.assessment.validation_bench import PairSettings, ValidationBench, open_validation
from twinfolio.data.store import StoreInfo
from twinfolio.evaluation.pairs import PairCounts, pair_groups

logger = logging.getLogger(__name__)

_SHARES = ("accuracy", "precision", "recall", "f1", "pair_ap")
_COUNTS = ("tp", "fp", "fn", "tn")


@dataclass(frozen=True)
class Comparison:
    """What validation says.

    Attributes:
        info: Of the store.
        train: The training images.
        queries: The validation images.
        pairs: ``query, archive, label``.
        pair_counts: What the pair list is made of.
        judged: System -> its judgement, in the order of the tables.
        candidates: Those that could become the champion.
        choice: The champion among them.
        winner: The champion itself.
        distances: Names of the distances.
        distance: The distance with the highest retrieval mAP.
        runner_up: The next one; None where there is only one distance.
        lead: The best distance's AP minus the runner-up's; None likewise.
        leaks: Distances and the champion -> what finding the own page again is worth, in an archive of train and
            validation.
        tests: ``a, b, measure`` and a ``Contrast`` for all pairs of distances.
        resampling: How intervals are made.
    """

    info: StoreInfo
    train: ImageSet
    queries: ImageSet
    pairs: pd.DataFrame
    pair_counts: PairCounts
    judged: dict[str, Judgement]
    candidates: list[Candidate]
    choice: Choice
    winner: System
    distances: list[str]
    distance: str
    runner_up: str | None
    lead: Contrast | None
    leaks: dict[str, LeakGap]
    tests: pd.DataFrame
    resampling: Resampling

    @property
    def champion(self) -> str:
        """Name of the champion."""
        return self.choice.champion.name

    @property
    def tie(self) -> bool:
        """Whether the paired interval between the best distance and the runner-up includes 0."""
        return self.lead is not None and self.lead.tie

    @property
    def thresholds(self) -> dict[str, float]:
        """System -> the threshold chosen on all validation pairs."""
        return {name: judgement.threshold for name, judgement in self.judged.items()}

    def versus(self, a: str, b: str) -> Contrast:
        """One system's AP minus another's, paired by query."""
        left, right = self.judged[a].average_precision, self.judged[b].average_precision
        return contrast(left, right, self.queries.items.groups, self.resampling)

    def table(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Khayyat et al.'s Table 6 for us: a row a system, every value with its interval, the counts beside it.

        Args:
            names: Systems shown; the distances by default.
        """
        return pd.DataFrame([_row(self.judged[name]) for name in names or self.distances])

    def per_query(self) -> pd.DataFrame:
        """A row a validation query: ``query, label, group, within_group`` and each system's AP."""
        items = self.queries.items
        head = {"query": items.ids, "label": np.array(self.info.classes, dtype=object)[items.labels]}
        head |= {"group": items.groups, "within_group": self.queries.within_group.astype(int)}
        return pd.DataFrame(head | {name: judged.average_precision for name, judged in self.judged.items()})

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
    others: Mapping[str, Kind] | None = None,
) -> Comparison:
    """Embed train and validation with every system, judge each and what joins them on validation, pick the champion.

    Args:
        systems: All systems; thresholds are chosen for each, since ``evaluate`` chooses nothing.
        distances: Names of the distances, which are candidates and are compared in tables of their own.
        store_root: Only its ``train`` and ``val`` are opened.
        embeddings: Folder for ``<system>.npz``, which ``evaluate`` uses again; of joined systems the champion's alone.
        pair_settings: How pairs are drawn and decided.
        resampling: How intervals are made.
        others: Further candidates -> kind; with them combinations are tried. None: the distances alone.
    """
    bench = open_validation(store_root, embeddings, pair_settings, resampling)
    counts = bench.pair_counts
    logger.info("%d positive and %d negative validation pairs of %d queries, %d queries without a positive",
                counts.positives, counts.negatives, counts.queries, counts.queries_without_positive)  # fmt: skip
    known = {system.name: system for system in systems}
    judged = {}
    for name, system in known.items():
        judged[name] = bench.judge(system, embed_gallery(system, store_root, bench.file(name)))
    kinds: dict[str, Kind] = {name: "distance" for name in known if name in distances}
    kinds |= {name: kind for name, kind in (others or {}).items() if name in known}
    candidates = [Candidate(name, kind, _mean_ap(judged[name])) for name, kind in kinds.items()]
    if others:
        combined, more = _judge_joined(bench, known, candidates)
        candidates += [Candidate(name, "joined", _mean_ap(one), len(members_of(name))) for name, one in more.items()]
        known, judged = known | combined, judged | more
    comparison = _compared(bench, known, judged, candidates)
    log_champion(comparison)
    return comparison


def log_champion(comparison: Comparison) -> None:
    """Say who won, and whether it is a tie."""
    choice, lead = comparison.choice, comparison.lead
    logger.info("champion: %s, validation retrieval mAP %.4f", comparison.champion, choice.champion.mean_ap)
    if choice.behind is not None:
        logger.info("%s has %.4f, and is not preferred", choice.best.name, choice.best.mean_ap)
    if lead is not None:
        word = "a tie with" if comparison.tie else "ahead of"
        told = (comparison.distance, word, comparison.runner_up)
        logger.info("of the distances, %s is %s %s: difference %.4f (%.4f to %.4f), p = %.3f", *told, *lead[:4])
    lent, n = int(comparison.queries.within_group.sum()), len(comparison.queries)
    if lent:
        logger.info("%d of %d validation images come from pages that training has seen (within_group)", lent, n)


def _mean_ap(judgement: Judgement) -> float:
    return judgement.retrieval_values["mAP"]


def _by_map(candidates: Sequence[Candidate], kind: Kind) -> list[str]:
    """Names of one kind by falling mAP; of equal ones the first is first."""
    return [one.name for one in sorted(candidates, key=lambda one: -one.mean_ap) if one.kind == kind]


def _without_matches(classical: Sequence[str], systems: Mapping[str, System]) -> str | None:
    """The best classical system that ranks by vectors alone, else the best: matches are no part of a join."""
    recipes = {name: systems[name].search for name in classical}
    plain = [name for name, search in recipes.items() if search is None or search[0].matched is None]
    return next(iter([*plain, *classical]), None)


def _judge_joined(
    bench: ValidationBench, systems: Mapping[str, System], candidates: Sequence[Candidate]
) -> tuple[dict[str, System], dict[str, Judgement]]:
    """Judge the combinations, of embeddings that are there; the joined vectors are not kept."""
    distances, classical = (_by_map(candidates, kind) for kind in ("distance", "classical"))
    named = [one.name for one in candidates]
    tried = combinations_tried(
        [name for name in named if name in distances], distances[0], _without_matches(classical, systems), named
    )
    parts = {name: part_of(systems[name], bench.vectors(name)) for name in dict.fromkeys(chain(*tried))}
    found, judged = {}, {}
    for names in tried:
        system, vectors = join_parts([parts[name] for name in names])
        found[system.name], judged[system.name] = system, bench.judge(system, vectors)
    return found, judged


def _compared(
    bench: ValidationBench, systems: Mapping[str, System], judged: dict[str, Judgement], candidates: list[Candidate],
) -> Comparison:  # fmt: skip
    groups, how = bench.val.items.groups, bench.resampling

    def lead_of(a: str, b: str) -> Contrast:
        return contrast(judged[a].average_precision, judged[b].average_precision, groups, how)

    choice = choose_champion(candidates, lead_of)
    winner = systems[choice.champion.name]
    if choice.champion.kind == "joined":
        parts = [part_of(systems[name], bench.vectors(name)) for name in members_of(winner.name)]
        bench.keep(winner.name, join_parts(parts)[1])
    distances = [one.name for one in candidates if one.kind == "distance"]
    distance, runner_up = [*_by_map(candidates, "distance"), None][:2]
    assert distance is not None  # there is always a distance
    return Comparison(
        info=bench.info,
        train=bench.train,
        queries=bench.val,
        pairs=bench.pairs,
        pair_counts=bench.pair_counts,
        judged=judged,
        candidates=candidates,
        choice=choice,
        winner=winner,
        distances=distances,
        distance=distance,
        runner_up=runner_up,
        lead=None if runner_up is None else lead_of(distance, runner_up),
        leaks={name: bench.leak(systems[name]) for name in dict.fromkeys([*distances, winner.name])},
        tests=_all_contrasts(judged, distances, bench.val, pair_groups(bench.pairs, bench.val.items), how),
        resampling=how,
    )


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
