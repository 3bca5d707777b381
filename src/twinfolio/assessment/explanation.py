"""Why test queries and their first answers match, and how far the pictures that say so may be believed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from twinfolio.assessment.deletion import Faithfulness, deletion_test, faithfulness_table
from twinfolio.assessment.match_pairs import MappedPair, mapped, pairs_to_explain
from twinfolio.assessment.scene import Scene
from twinfolio.errors import DataError
from twinfolio.models.bundle import Model
from twinfolio.retrieval.ranking import Ranking

logger = logging.getLogger(__name__)

DRAWN = 4
"""Pairs whose maps are drawn."""


@dataclass(frozen=True)
class Explanation:
    """Maps of some pairs, and the deletion test over more.

    Attributes:
        drawn: Pairs to draw.
        found: Curves of the deletion test.
        table: Areas under them, a row a kind of map.
    """

    drawn: Sequence[MappedPair]
    found: Faithfulness
    table: pd.DataFrame


def explain_answers(model: Model, answers: Ranking, scene: Scene, n: int, seed: int = 0) -> Explanation | None:
    """Explain the first answers of some test queries; None where no score depends on what stands in the query.

    Args:
        model: The champion.
        answers: Its first answers.
        scene: Test and its gallery.
        n: Pairs in the deletion test.
        seed: Of the random baseline.
    """
    stores = scene.stores
    pairs = pairs_to_explain(answers, scene.queries, scene.gallery, stores["test"], [stores["train"], stores["val"]], n)
    try:
        found = deletion_test(model, pairs, seed=seed)
    except DataError as error:
        logger.warning("matches are not explained: %s", error)
        return None
    logger.info("explained %d pairs: %s", len(pairs), ", ".join(found.deletion))
    return Explanation(mapped(model, pairs[:: max(1, len(pairs) // DRAWN)][:DRAWN]), found,
                       faithfulness_table(found, scene.resampling))  # fmt: skip
