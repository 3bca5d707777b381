"""Validation protocol of all systems: validation queries against train, and frozen pairs of the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from twinfolio.assessment.embeddings import load_embeddings, save_embeddings
from twinfolio.assessment.images import ImageSet, join, originals
from twinfolio.assessment.judgement import Decision, Judgement, Resampling, judge
from twinfolio.assessment.leak import LeakGap, leak_gap
from twinfolio.assessment.systems import System, system_scores
from twinfolio.data.store import Store, StoreInfo, read_info
from twinfolio.evaluation.pairs import PairCounts, build_pairs
from twinfolio.evaluation.verification import cross_fit_thresholds


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
class ValidationBench:
    """Validation against train, and the frozen pairs: what every system is judged on.

    Attributes:
        info: Of the store.
        train: The training images.
        val: The validation images.
        pairs: ``query, archive, label``.
        pair_counts: What the pair list is made of.
        embeddings: Folder for ``<system>.npz``.
        pair_settings: How pairs are drawn and decided.
        resampling: How intervals are made.
    """

    info: StoreInfo
    train: ImageSet
    val: ImageSet
    pairs: pd.DataFrame
    pair_counts: PairCounts
    embeddings: Path
    pair_settings: PairSettings
    resampling: Resampling

    def file(self, name: str) -> Path:
        """File of a system's embeddings."""
        return self.embeddings / f"{name}.npz"

    def vectors(self, name: str) -> dict[str, np.ndarray]:
        """Split -> (R, D), a system's kept embeddings."""
        parts = {"train": self.train, "val": self.val}
        return {split: load_embeddings(self.file(name), split, of) for split, of in parts.items()}

    def keep(self, name: str, vectors: Mapping[str, np.ndarray]) -> None:
        """Keep the embeddings of train and validation of a system."""
        parts = {"train": self.train, "val": self.val}
        save_embeddings(self.file(name), {split: (of, vectors[split]) for split, of in parts.items()})

    def judge(self, system: System, vectors: Mapping[str, np.ndarray]) -> Judgement:
        """Judge a system by its embeddings of both splits."""
        scores = system_scores(system, vectors["val"], self.val, vectors["train"], self.train)
        decide, how = cross_fitting(self.pair_settings), self.resampling
        queries, gallery = self.val.items, self.train.items
        return judge(system.name, system.pretrained, scores, queries, gallery, self.pairs, decide, how)

    def leak(self, system: System) -> LeakGap:
        """What finding the own page again is worth to a system, in an archive of train and validation."""
        vectors, everything = self.vectors(system.name), join(self.train, self.val)
        archive = np.concatenate([vectors["train"], vectors["val"]])
        among = system_scores(system, vectors["val"], self.val, archive, everything, "included")
        return leak_gap(among, self.val.items, everything.items, self.resampling)


def open_validation(
    store_root: Path, embeddings: Path, settings: PairSettings, resampling: Resampling
) -> ValidationBench:
    """Open train and validation and draw the pairs (arguments as ``ValidationBench``)."""
    train, val = (originals(Store.open(store_root / split)) for split in ("train", "val"))
    drawn = (settings.positives_per_query, settings.min_positives, settings.seed)
    pairs, counts = build_pairs(val.items, train.items, *drawn)
    return ValidationBench(read_info(store_root), train, val, pairs, counts, embeddings, settings, resampling)


def cross_fitting(settings: PairSettings) -> Decision:
    """Decisions by thresholds that never saw the query's group; the one kept is chosen on all pairs."""

    def decide(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, float]:
        fit = cross_fit_thresholds(scores, labels, groups, settings.folds, settings.seed, settings.criterion)
        return fit.predictions, fit.threshold

    return decide
