"""Systems that rank maps for judged queries: fitted on train, set by validation, and measured on test by one reader."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from twinfolio.assessment.classical import classical_system
from twinfolio.assessment.embeddings import BATCH, Chosen
from twinfolio.assessment.fitting import Features, Words, fit_encoder, look
from twinfolio.assessment.systems import System
from twinfolio.assessment.tuning import Setting, Tried, Tuned
from twinfolio.data.judged_set import JudgedSet
from twinfolio.data.store import Store
from twinfolio.descriptors.encoder import EncoderSpec
from twinfolio.evaluation.arrays import Floats
from twinfolio.evaluation.judged import KS, JudgedRanking, judged_ranking
from twinfolio.retrieval.embed import embed
from twinfolio.retrieval.prepared import NOTHING, PreparedGallery
from twinfolio.retrieval.recipe_scores import RecipeScores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contender:
    """A system, and what it looks at.

    Attributes:
        system: Embeds images and scores pairs of them.
        images: uint8 (R, H, W, C), queries and maps of the whole set.
        target: What its scores were trained to equal, ``sim`` or ``fov``; None: they only order.
        setting: What validation has set, in a few words.
    """

    system: System
    images: NDArray[np.uint8]
    target: str | None = None
    setting: str = ""


@dataclass(frozen=True)
class JudgedTest:
    """What the test queries were judged.

    Attributes:
        targets: ``sim`` and, where it was judged, ``fov`` -> (Q, M).
        places: (Q,) the unit that intervals and tests draw anew.
        pairs: (P, 2) positions of balanced pairs: query and map.
        constants: Target -> its mean over the training pairs, what a system says that sees nothing.
        resamples: Of places.
    """

    targets: Mapping[str, NDArray[np.float32]]
    places: NDArray[np.int64]
    pairs: NDArray[np.int64]
    constants: Mapping[str, float]
    resamples: int = 1000

    @property
    def sim(self) -> NDArray[np.bool_]:
        """(Q, M) whether a map shows what a query shows."""
        return np.asarray(self.targets["sim"] > 0)

    def ranking(self, scores: Floats) -> JudgedRanking:
        """The maps ranked for each query; nDCG gains what was judged."""
        return judged_ranking(scores, self.sim, self.targets.get("fov"), ks=(1, *KS))


@dataclass(frozen=True)
class JudgedBench:
    """Where settings of classical systems are fitted on what may be learned from, and judged by validation queries.

    Attributes:
        judged: The set; its test queries are not looked at.
        workers: Threads that look for key points.
        cache: SQLite file of key points.
        words: Those found so far.
    """

    judged: JudgedSet
    workers: int = 1
    cache: Path | None = None
    words: Words = field(default_factory=dict)

    @property
    def images(self) -> dict[str, np.ndarray]:
        """What is learned from, validation queries, and the archive."""
        rows = {"train": self.judged.learned, "val": self.judged.queries("val"), "maps": self.judged.maps}
        return {part: _chosen(self.judged.images.images, own) for part, own in rows.items()}

    def features(self, spec: EncoderSpec) -> Features:
        """Key points of each part."""
        return look(spec, self.images, self.workers, self.cache)

    def fit(self, setting: Setting, features: Features) -> Tried:
        """Fit a setting, and rank the maps for validation queries by it."""
        encoder, vectors = fit_encoder(setting.spec, self.images, features, self.words)
        recipe = setting.recipe(vectors["train"])
        scores = rank_maps(classical_system(encoder, recipe), vectors["val"], vectors["maps"])
        val_map = mean_ap(scores, self.judged.sim[self.judged.queries("val")])
        logger.info("%s, %s: validation mAP %.4f", setting.spec.name, setting.said, val_map)
        return Tried(setting, encoder, recipe, vectors, val_map)


def tuned_contender(tuned: Tuned, bench: JudgedBench) -> Contender:
    """A classical system as validation has set it."""
    best = tuned.best
    encoder = replace(best.encoder, workers=bench.workers, cache=bench.cache)
    spec, matched = best.setting.spec, best.setting.matched
    said = "" if spec.extractor is None else f"{spec.words} words"
    if matched is not None:
        said += f", first {matched.candidates} by matches x {matched.weight:g}"
    return Contender(classical_system(encoder, best.recipe), bench.judged.images.images, None, said)


def twin_contender(name: str, folder: Path, store: Store, target: str, device: str = "cpu") -> Contender:
    """A trained twin.

    Args:
        name: Its name.
        folder: See ``twin_folder.save_twin``.
        store: What it sees.
        target: What it was trained on.
        device: Where it computes.

    Raises:
        ModelError: The folder holds no twin.
    """
    import torch

    from twinfolio.data.batch_augmentation import to_float
    from twinfolio.models.twin_folder import load_twin

    twin = load_twin(folder, device)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(values)).to(device)

    def embed_images(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(twin.embed(to_float(tensor(images).permute(0, 3, 1, 2))).float().cpu().numpy())

    def scores(queries: np.ndarray, maps: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(twin.pairwise(tensor(queries), tensor(maps)).double().cpu().numpy())

    return Contender(System(name, embed_images, scores, pretrained=twin.pretrained), store.images, target)


def embed_maps(contender: Contender, judged: JudgedSet) -> np.ndarray:
    """Rows (M, D) of the archive.

    Args:
        contender: The system.
        judged: The set.
    """
    return _embed(contender, judged.maps, "maps")


def scores_of(contender: Contender, judged: JudgedSet, split: str, maps: np.ndarray) -> Floats:
    """Scores (q, M) of a split's queries with every map of the archive.

    Args:
        contender: The system.
        judged: The set.
        split: Which queries.
        maps: See ``embed_maps``.
    """
    return rank_maps(contender.system, _embed(contender, judged.queries(split), split), maps)


def rank_maps(system: System, queries: np.ndarray, maps: np.ndarray) -> Floats:
    """Scores (q, M), higher = more similar, of rows of queries (q, D) with rows of maps (M, D)."""
    if system.search is None:
        return np.asarray(system.scores(queries, maps), np.float64)
    recipe, build = system.search
    prepared = PreparedGallery(recipe, maps, np.arange(len(maps)), build)
    scores = RecipeScores(prepared, queries, np.arange(len(queries)), [NOTHING] * len(queries))
    return np.asarray(scores(np.arange(len(queries)), np.arange(len(maps))), np.float64)


def judged_test(judged: JudgedSet, resamples: int) -> JudgedTest:
    """What the test queries of a set were judged.

    Args:
        judged: The set.
        resamples: Of places.
    """
    rows, first_map = judged.queries("test"), len(judged.sim)
    targets = {name: judged.target(name) for name in ("sim", "fov") if name == "sim" or judged.fov is not None}
    pairs, train = (judged.pair_rows(split) for split in ("test", "train"))
    positions = np.stack([np.searchsorted(rows, pairs[:, 0]), pairs[:, 1] - first_map], axis=1)
    means = {name: float(of[train[:, 0], train[:, 1] - first_map].mean()) for name, of in targets.items()}
    own = {name: of[rows] for name, of in targets.items()}
    return JudgedTest(own, judged.places[rows], positions, means, resamples)


def mean_ap(scores: Floats, sim: NDArray[np.bool_]) -> float:
    """Mean over queries of the average precision of their rankings."""
    return judged_ranking(scores, sim, ks=(1,)).metrics.means()["mAP"]


def _embed(contender: Contender, rows: NDArray[np.int64], part: str) -> np.ndarray:
    system = contender.system
    return embed(system.embed, _chosen(contender.images, rows), BATCH, f"{system.name} {part}")


def _chosen(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return cast("np.ndarray", Chosen(images, rows))
