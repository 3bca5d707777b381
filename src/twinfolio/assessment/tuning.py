"""Which setting of a classical system is best on validation: fitted on train, judged as every system is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from twinfolio.assessment.classical import classical_system
from twinfolio.assessment.embeddings import GALLERY, Chosen
from twinfolio.assessment.fitting import Features, Words, fit_encoder, look
from twinfolio.assessment.images import ImageSet, originals
from twinfolio.assessment.systems import system_scores
from twinfolio.data.store import Store
from twinfolio.descriptors.encoder import Distance, Encoder, EncoderSpec, spec_named
from twinfolio.evaluation.retrieval_protocol import retrieval_protocol
from twinfolio.retrieval.matched import Matched
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.whitening import fit_whitening

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Grid:
    """What is tried.

    Attributes:
        most: Most key points an image.
        enlarge: Factors by which images are enlarged before key points are looked for.
        bow_words: Words of a bag.
        bow_distances: What compares bags.
        vlad_words: Words of a VLAD.
        powers: Exponents of a VLAD's values.
        whiten: Dimensions that a whitening of a VLAD keeps; 0: none.
        weights: What matches count in a re-ranking.
        candidates: Images that are ranked again.
        matched: Key points an image that are matched.
        seed: Of the vocabularies.
    """

    most: Sequence[int] = (500,)
    enlarge: Sequence[float] = (1.0,)
    bow_words: Sequence[int] = (256,)
    bow_distances: Sequence[Distance] = ("cosine",)
    vlad_words: Sequence[int] = (64,)
    powers: Sequence[float] = (0.5,)
    whiten: Sequence[int] = (0,)
    weights: Sequence[float] = (0.1,)
    candidates: int = 100
    matched: int = 200
    seed: int = 0

    def settings(self, name: str) -> list[Setting]:
        """All settings of a system without its re-ranking, key points of one kind after another's."""
        base = replace(spec_named(name), seed=self.seed, matched=0)
        if base.extractor is None:
            return [Setting(base)]
        own = self._bags if base.encoding == "bow" else self._vlads
        looks = product(self.enlarge, self.most)
        return [one for enlarge, most in looks for one in own(replace(base, enlarge=enlarge, most=most))]

    def rerankings(self, setting: Setting) -> list[Setting]:
        """Ways to rank a setting's first candidates again."""
        spec = replace(setting.spec, matched=self.matched)
        how = Matched(candidates=self.candidates, points=self.matched, width=spec.width)
        return [replace(setting, spec=spec, matched=replace(how, weight=weight)) for weight in self.weights]

    def _bags(self, spec: EncoderSpec) -> list[Setting]:
        tried = product(self.bow_words, self.bow_distances)
        return [Setting(replace(spec, words=words, distance=distance)) for words, distance in tried]

    def _vlads(self, spec: EncoderSpec) -> list[Setting]:
        tried = product(self.vlad_words, self.powers, self.whiten)
        return [Setting(replace(spec, words=words, power=power), dims) for words, power, dims in tried]


@dataclass(frozen=True)
class Setting:
    """One setting of a classical system.

    Attributes:
        spec: Of its encoder.
        whiten: Dimensions that a whitening keeps; 0: none.
        matched: How candidates are ranked again; None: not at all.
    """

    spec: EncoderSpec
    whiten: int = 0
    matched: Matched | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What was set, by the names of ``Grid``; nothing that the system has no use for."""
        spec = self.spec
        if spec.extractor is None:
            return {"distance": spec.distance}
        facts = {"most": spec.most, "enlarge": spec.enlarge, "words": spec.words, "distance": spec.distance}
        own = {"power": spec.power, "whiten": self.whiten} if spec.encoding == "vlad" else {}
        return facts | own | ({} if self.matched is None else {"weight": self.matched.weight})

    @property
    def said(self) -> str:
        """The facts in a line."""
        return ", ".join(f"{name} = {value}" for name, value in self.facts.items())

    def recipe(self, train: np.ndarray) -> Recipe:
        """What is done to vectors, a whitening being learned from those of train (R, D)."""
        plain = Recipe(matched=self.matched)
        return replace(plain, whitening=fit_whitening(plain.vectors_of(train), self.whiten)) if self.whiten else plain


@dataclass(frozen=True)
class Tried:
    """A fitted setting and what it reached.

    Attributes:
        setting: What was set.
        encoder: Fitted on train.
        recipe: Likewise.
        vectors: Split -> float32 (R, D).
        val_map: Retrieval mAP of validation in train; not a number where no query has an answer.
    """

    setting: Setting
    encoder: Encoder
    recipe: Recipe
    vectors: dict[str, np.ndarray]
    val_map: float


@dataclass(frozen=True)
class Tuned:
    """A system set by validation.

    Attributes:
        best: The setting with the highest validation mAP; of equal ones the first.
        tried: Every setting and its mAP, in the order they were tried.
        without: Split -> images without a key point.
    """

    best: Tried
    tried: list[tuple[Setting, float]]
    without: dict[str, int] = field(default_factory=dict)


class Bench(Protocol):
    """Where settings are fitted on train and judged by validation."""

    def features(self, spec: EncoderSpec) -> Features:
        """Key points of each part."""

    def fit(self, setting: Setting, features: Features) -> Tried:
        """Fit a setting, and judge validation by it."""


@dataclass(frozen=True)
class Workbench:
    """Train and validation, and how key points are looked for.

    Attributes:
        images: Split -> the rows of its original images.
        parts: Split -> its original images.
        workers: Threads that look for key points.
        cache: SQLite file of key points.
        words: Those found so far.
    """

    images: dict[str, np.ndarray]
    parts: dict[str, ImageSet]
    workers: int = 1
    cache: Path | None = None
    words: Words = field(default_factory=dict)

    def features(self, spec: EncoderSpec) -> Features:
        """Key points of both splits."""
        return look(spec, self.images, self.workers, self.cache)

    def fit(self, setting: Setting, features: Features) -> Tried:
        """Fit a setting on train, and judge validation in train by it; a hash needs no key points."""
        encoder, vectors = fit_encoder(setting.spec, self.images, features, self.words)
        recipe = setting.recipe(vectors["train"])
        system, queries, train = classical_system(encoder, recipe), self.parts["val"], self.parts["train"]
        scores = system_scores(system, vectors["val"], queries, vectors["train"], train)
        values = retrieval_protocol(scores, queries.items, train.items).metrics.per_query["mAP"]
        val_map = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
        logger.info("%s, %s: validation mAP %.4f", setting.spec.name, setting.said, val_map)
        return Tried(setting, encoder, recipe, vectors, val_map)


def open_workbench(store_root: Path, workers: int = 1, cache: Path | None = None) -> Workbench:
    """Train and validation of a store.

    Args:
        store_root: Only its ``train`` and ``val`` are opened.
        workers: See ``Workbench``.
        cache: See ``Workbench``.
    """
    stores = {split: Store.open(store_root / split) for split in GALLERY}
    parts = {split: originals(store) for split, store in stores.items()}
    images = {split: cast("Any", Chosen(stores[split].images, parts[split].rows)) for split in GALLERY}
    return Workbench(images, parts, workers, cache)


def tune(name: str, grid: Grid, bench: Bench) -> Tuned:
    """Choose a system's setting on validation.

    Args:
        name: See ``descriptors.encoder.spec_named``.
        grid: What is tried; a re-ranking only on top of the best setting without it.
        bench: Train and validation.

    Raises:
        DataError: No train image has a key point, or there are fewer key points than words.
        ParamsError: No classical system has that name.
    """
    tuned = _tune(grid.settings(name), bench)
    if not spec_named(name).matched:
        return tuned
    again = _tune(grid.rerankings(tuned.best.setting), bench)
    return replace(again, tried=tuned.tried + again.tried)


def _tune(settings: Iterable[Setting], bench: Bench) -> Tuned:
    """Fit every setting; key points are looked for once for neighbours that want the same."""
    best: Tried | None = None
    tried: list[tuple[Setting, float]] = []
    features: Features = {}
    looked = None
    for setting in settings:
        if setting.spec.extractor != looked:
            features, looked = bench.features(setting.spec), setting.spec.extractor
        one = bench.fit(setting, features)
        tried.append((setting, one.val_map))
        best = one if best is None or one.val_map > best.val_map else best
    assert best is not None
    return Tuned(best, tried, {split: one.without for split, one in features.items()})
