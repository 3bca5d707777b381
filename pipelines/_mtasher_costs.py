"""What each system of ``studies/mtasher_msad`` costs, measured on validation images against train's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from _classical import CLASSICAL
from _mtasher import EMBEDDINGS, STORE
from twinfolio.assessment.classical import load_classical
from twinfolio.assessment.embeddings import load_embeddings
from twinfolio.assessment.images import originals
from twinfolio.assessment.search_cost import SearchCost, search_cost
from twinfolio.assessment.systems import System
from twinfolio.data.store import Store
from twinfolio.descriptors.encoder import Encoder
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe, load_recipe
from twinfolio.retrieval.scorers import distance_scorer

EXTRACTED, ASKED = 16, 30
"""Images of the timed batch, and timed queries."""


def system_costs(systems: Sequence[System]) -> dict[str, SearchCost]:
    """System -> its cost, one after another in this process."""
    return {system.name: _cost(system) for system in systems}


def _cost(system: System) -> SearchCost:
    val = Store.open(STORE / "val")
    path, of = EMBEDDINGS / f"{system.name}.npz", originals(val)
    queries = load_embeddings(path, "val", of)[:ASKED]
    images = np.asarray(val.images[of.rows[:EXTRACTED]])
    return search_cost(_uncached(system).embed, images, _gallery(system), queries)


def _uncached(system: System) -> System:
    """The system without its cache of key points, and with one process that looks for them."""
    folder = CLASSICAL / system.name
    return load_classical(folder) if folder.is_dir() else system


def _gallery(system: System) -> PreparedGallery:
    """Train, ready for queries as search has it."""
    train, folder = originals(Store.open(STORE / "train")), CLASSICAL / system.name
    vectors = load_embeddings(EMBEDDINGS / f"{system.name}.npz", "train", train)
    if not folder.is_dir():
        return PreparedGallery(Recipe(), vectors, train.row_image, distance_scorer("cosine"))
    build = distance_scorer(Encoder.load(folder).spec.distance)
    return PreparedGallery(load_recipe(folder), vectors, train.row_image, build)
