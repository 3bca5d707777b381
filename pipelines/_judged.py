"""What the stages of Jimenez & Szabo's study share: its images, its twins as params, and where they lie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from _stage import ROOT
from twinfolio.data.judged_images import JudgedImages, read_images
from twinfolio.data.judged_split import shared_places, walked_places
from twinfolio.data.sources.judged import Judged, load_judged
from twinfolio.data.sources.places import load_places
from twinfolio.params import Params
from twinfolio.params.file import parse_params, patched

if TYPE_CHECKING:
    from twinfolio.data.judged_set import JudgedSet
    from twinfolio.data.store import Store
    from twinfolio.models.twin import Twin
    from twinfolio.params.judged import JudgedParams

SET, ABOUT = Path("outputs/judged/set"), Path("outputs/judged/about.json")
Places = NDArray[np.int64]

logger = logging.getLogger("twinfolio.judged")


def read(params: JudgedParams) -> tuple[JudgedImages, Places]:
    """Images with their judgments, and the place of each query."""
    if params.source == "drawn":
        return _drawn(params)
    folder = ROOT / params.source
    walk = (folder / "reference").is_dir()
    judged = load_places(folder, params.frames) if walk else load_judged(folder)
    found = read_images(folder, judged, params.size)
    for path, reason in found.left_out:
        logger.warning("%s: %s, left out", path, reason)
    if params.split == "queries":
        return found, np.arange(len(found.judged.queries))
    if walk and params.frames is not None:
        kept = np.isin(judged.queries, found.judged.queries)
        return found, walked_places(len(judged.queries), params.tile)[kept]
    return found, shared_places(found.judged.sim)


def _drawn(params: JudgedParams) -> tuple[JudgedImages, Places]:
    """Made-up streets, whose windows overlap by a known share."""
    from twinfolio.sample.scenes import draw_views, overlap

    drawn = params.drawn
    maps = draw_views(drawn.streets, drawn.maps, drawn.side, params.seed)
    queries = draw_views(drawn.streets, drawn.queries, drawn.side, params.seed, drift=1)
    fov = overlap(queries, maps)
    queried, mapped = (
        [f"{side}/street{street:03d}_{number:04d}" for number, street in enumerate(views.scenes)]
        for side, views in (("query", queries), ("map", maps))
    )
    judged = Judged(queried, mapped, fov >= drawn.shown, fov)
    places = np.arange(len(queries.scenes)) if params.split == "queries" else queries.scenes
    return JudgedImages(judged, queries.images, maps.images), places


@dataclass(frozen=True)
class Training:
    """One twin to train: ``orb10-sim-0``."""

    twin: str
    target: str
    seed: int

    @classmethod
    def named(cls, name: str) -> Training:
        """From its name in ``jimenez_szabo.trainings``."""
        twin, target, seed = name.split("-")
        return cls(twin, target, int(seed))

    @property
    def key_points(self) -> int | None:
        """Key points whose bits it sees; None: it sees images."""
        return int(self.twin.removeprefix("orb")) if self.twin.startswith("orb") else None

    def store(self, judged: JudgedSet) -> Store:
        """What it sees."""
        return judged.images if self.key_points is None else judged.bits

    def params(self, params: Params) -> Params:
        """The params it is trained with; those of an ORB twin are the paper's (systems.md 3.2)."""
        values: dict[str, Any] = {"siamese.seed": self.seed}
        if self.key_points is not None:
            study = params.jimenez_szabo
            values |= {"siamese.schedule": "adam", "siamese.lr": 1e-3, "siamese.trunk_lr": 1e-3, "siamese.ema": None}
            values |= {"siamese.epochs": study.epochs, "siamese.patience": study.patience, "siamese.validate_every": 1}
            values |= {"siamese.augmentation": {"crop": None, "colour_jitter": 0.0, "grey": 0.0}}
        return parse_params(patched(params.model_dump(mode="json"), values), source="studies/jimenez_szabo")

    def builder(self, params: Params) -> Callable[[], Twin]:
        """What makes its twin."""
        from twinfolio.models.embedder import build_siamese
        from twinfolio.models.orb_siamese import OrbSiamese
        from twinfolio.models.twin import ConvTwin

        key_points, own = self.key_points, params.siamese
        if key_points is not None:
            return lambda: OrbSiamese(key_points)
        return lambda: ConvTwin(*build_siamese(
            own.trunk, weights=own.weights, head=own.head, distance="cosine", options=own.trunk_options,
            pooling=own.pooling, embedding=own.embedding, hidden=own.hidden, activation=own.activation,
            normalise=own.normalise,
        ))  # fmt: skip
