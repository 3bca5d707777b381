"""The leak gap: what retrieval gains where images of the query's own page lie in the archive."""

from __future__ import annotations

from dataclasses import dataclass

from twinfolio.assessment.judgement import Contrast, Resampling, contrast
from twinfolio.evaluation.reports import retrieval_report
from twinfolio.evaluation.retrieval_protocol import Items, OwnGroup, retrieval_protocol
from twinfolio.evaluation.streaming import Scores

MEASURES = ("mAP", "P@1")


@dataclass(frozen=True)
class LeakGap:
    """The same queries against one archive, with and without what was made from the query's own page.

    Attributes:
        included: Retrieval values where only the query itself is left out.
        excluded: The same without its duplicates and its group.
        gap: Measure -> included minus excluded, over the queries that have an answer under both.
        exposed: Queries of whose group or duplicates the archive holds another image.
        queries: All queries.
    """

    included: dict[str, float]
    excluded: dict[str, float]
    gap: dict[str, Contrast]
    exposed: int
    queries: int


def leak_gap(scores: Scores, queries: Items, archive: Items, resampling: Resampling) -> LeakGap:
    """Rank the archive twice for each query.

    Args:
        scores: Of any queries with any images of the archive.
        queries: Q images.
        archive: M images; may hold the queries.
        resampling: How intervals are made.
    """
    how = (resampling.n, resampling.seed, resampling.confidence)
    sides: tuple[OwnGroup, OwnGroup] = ("included", "excluded")
    included, excluded = (retrieval_protocol(scores, queries, archive, side) for side in sides)
    gap = {
        measure: contrast(
            included.metrics.per_query[measure], excluded.metrics.per_query[measure], queries.groups, resampling
        )
        for measure in MEASURES
    }
    more = included.metrics.n_candidates - excluded.metrics.n_candidates
    return LeakGap(
        retrieval_report(included, *how), retrieval_report(excluded, *how), gap, int((more > 0).sum()), len(queries)
    )
