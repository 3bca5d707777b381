"""Pairs to be explained: queries with their first answers, and their maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinfolio.assessment.attribution import Floats, Image, attribution_maps, available_kinds
from twinfolio.assessment.examples import pixels, spread
from twinfolio.assessment.images import ImageSet
from twinfolio.data.store import Store
from twinfolio.models.bundle import Model
from twinfolio.retrieval.ranking import Ranking


@dataclass(frozen=True)
class MatchPair:
    """A query with its first answer.

    Attributes:
        query: uint8 (H, W, C), its first row.
        answer: The answer's first row.
        query_id: The manifest's id.
        answer_id: The same of the answer.
        group: The query's group, which is what intervals draw.
        right: Whether the answer is of the query's class.
    """

    query: Image
    answer: Image
    query_id: str
    answer_id: str
    group: str
    right: bool


@dataclass(frozen=True)
class MappedPair:
    """A pair with its maps.

    Attributes:
        pair: The two images.
        maps: Kind -> (map of the query, map of the answer), each (h, w).
    """

    pair: MatchPair
    maps: dict[str, tuple[Floats, Floats]]


def pairs_to_explain(
    ranking: Ranking, queries: ImageSet, gallery: ImageSet, query_store: Store, gallery_stores: list[Store], n: int
) -> list[MatchPair]:
    """Queries at even distances over all that have an answer, each with its first.

    Args:
        ranking: Of all queries; its columns are images of the gallery.
        queries: Q images of ``query_store``.
        gallery: M images, those of the ``gallery_stores`` one after the other.
        query_store: The queries' split.
        gallery_stores: The gallery's splits.
        n: Pairs wanted; all queries where there are fewer.
    """
    answered = np.flatnonzero(ranking.ids[:, 0] >= 0)
    out = []
    for query in spread(answered, min(n, len(answered))):
        answer = int(ranking.ids[query, 0])
        pictures = pixels(queries, [query_store], query), pixels(gallery, gallery_stores, answer)
        ids = str(queries.items.ids[query]), str(gallery.items.ids[answer])
        right = bool(queries.items.labels[query] == gallery.items.labels[answer])
        out.append(MatchPair(*pictures, *ids, str(queries.items.groups[query]), right))
    return out


def mapped(model: Model, pairs: Sequence[MatchPair]) -> list[MappedPair]:
    """The pairs with every kind of map the model has."""
    kinds = available_kinds(model)
    return [
        MappedPair(pair, {kind: attribution_maps(model, kind, pair.query, pair.answer) for kind in kinds})
        for pair in pairs
    ]
