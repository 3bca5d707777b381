"""Better neighbours without training: each method's gain and cost on validation, and which of them is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np

from twinfolio.assessment.judgement import Contrast, contrast
from twinfolio.assessment.neighbour_bench import Bench
from twinfolio.evaluation.reports import retrieval_report
from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.reciprocal import Reciprocal
from twinfolio.retrieval.views import Views
from twinfolio.retrieval.whitening import fit_whitening

logger = logging.getLogger(__name__)

PLAIN, TOGETHER, OWN = "plain", "together", "own"
"""Rows that are no single method: nothing done, several methods, and a system's own recipe."""
STEPS_MS = tuple(digit * 10.0**power for power in range(6) for digit in (1, 2, 5))
"""What costs are rounded to: 1, 2, 5, 10, ... ms."""


@dataclass(frozen=True)
class Grid:
    """The settings tried; of each method the one with the best validation mAP is shown.

    Attributes:
        methods: ``whitening``, ``views``, ``query_expansion``, ``database_augmentation``, ``reciprocal``.
        dims: Dimensions kept by whitening.
        shrinkage: Its shares of the identity.
        per_side: Crops along each side.
        crop: Their side as a share of the image's.
        neighbours: Neighbours that a vector is blended with.
        alpha: Exponents of their weights.
        k1: Neighbours whose reciprocity is asked.
        k2: Neighbours whose encodings are averaged.
        weight: Shares of the first similarity.
        candidates: Images that are ranked again.
    """

    methods: Sequence[str]
    dims: Sequence[int]
    shrinkage: Sequence[float]
    per_side: Sequence[int]
    crop: Sequence[float]
    neighbours: Sequence[int]
    alpha: Sequence[float]
    k1: Sequence[int]
    k2: Sequence[int]
    weight: Sequence[float]
    candidates: int

    def recipes(self, method: str, train: np.ndarray) -> list[Recipe]:
        """The recipes of one method; whitening is learned from embeddings (N, D) of train."""
        expansions = [Expansion(*values) for values in product(self.neighbours, self.alpha)]
        ranks = product(self.k1, self.k2, self.weight)
        recipes: dict[str, Callable[[], list[Recipe]]] = {
            "whitening": lambda: [
                Recipe(whitening=fit_whitening(train, *values)) for values in product(self.dims, self.shrinkage)
            ],
            "views": lambda: [Recipe(views=Views(*values)) for values in product(self.per_side, self.crop)],
            "query_expansion": lambda: [Recipe(expansion=how) for how in expansions],
            "database_augmentation": lambda: [Recipe(augmentation=how) for how in expansions],
            "reciprocal": lambda: [Recipe(reciprocal=Reciprocal(*v, candidates=self.candidates)) for v in ranks],
        }
        return recipes[method]()


@dataclass(frozen=True)
class Row:
    """One method at its best setting.

    Attributes:
        method: Its name in params, ``plain``, ``together`` or ``own``.
        recipe: The setting.
        values: Means of the metrics, each with ``_low`` and ``_high``.
        average_precision: (Q,) of each query; not a number where nothing is relevant.
        groups: (Q,) the queries' groups.
        gain: mAP minus that of plain, paired; None for plain.
        embed_ms: One query embedded, views included.
        rank_ms: Its top 10 from the embedding on.
        added_ms: What the method adds to a plain query.
        extra_bytes: Memory beside that of plain; below 0 where vectors become shorter.
        within_budget: Whether the added time, rounded to a step, is within the budget.
    """

    method: str
    recipe: Recipe
    values: dict[str, float]
    average_precision: np.ndarray
    groups: np.ndarray
    gain: Contrast | None
    embed_ms: float
    rank_ms: float
    added_ms: float
    extra_bytes: int
    within_budget: bool

    @property
    def better(self) -> bool:
        """Whether the gain's interval lies above 0."""
        return self.gain is not None and self.gain.low > 0


@dataclass(frozen=True)
class Ablation:
    """All methods, and the one that is kept.

    Attributes:
        rows: ``plain`` first; ``together`` last, where two methods or more are better than it within the budget.
            A system with a recipe of its own has ``own`` alone.
        over_best: mAP of ``together`` minus that of the best method alone, paired; None where it was not tried.
        latency_ms: What a method may add to a query.
        n_queries: Validation images with an answer in train.
        n_gallery: Training images.
    """

    rows: list[Row]
    over_best: Contrast | None
    latency_ms: float
    n_queries: int
    n_gallery: int

    @property
    def kept(self) -> Row:
        """The best mAP among methods within the budget whose gain cannot be chance; plain where there is none.

        ``together``, which costs the most, must besides be ahead of the best method alone by more than chance.
        """
        last = self.rows[-1]
        if self.over_best is not None and self.over_best.low > 0 and last.within_budget and last.better:
            return last
        return best_alone(self.rows)

    def timing(self) -> dict[str, float]:
        """Measured milliseconds for ``timing.json``: they differ between runs, so no result may hold them."""
        names = ("embed_ms", "rank_ms", "added_ms")
        return {f"neighbours_{row.method}_{name}": getattr(row, name) for row in self.rows for name in names}


def as_it_is(bench: Bench, recipe: Recipe, latency_ms: float) -> Ablation:
    """A system that was set on validation with a recipe of its own: nothing else is tried.

    Args:
        bench: What it is judged on.
        recipe: Its own.
        latency_ms: What a method may add to one query, which is not asked of it.
    """
    own = _row(bench, OWN, [recipe], None, latency_ms)
    logger.info("neighbours: the system's own recipe is kept (%s)", recipe.setting)
    return Ablation([own], None, latency_ms, int(own.values["n_queries"]), len(bench.parts["train"]))


def ablate(bench: Bench, grid: Grid, latency_ms: float) -> Ablation:
    """Judge every method on validation and keep the best that fits the budget.

    Args:
        bench: What they are judged on; test is no part of it.
        grid: Methods and settings.
        latency_ms: What a method may add to one query.
    """
    plain = _row(bench, PLAIN, [Recipe()], None, latency_ms)
    train = bench.embedded(None)["train"]
    rows = [plain, *(_row(bench, name, grid.recipes(name, train), plain, latency_ms) for name in grid.methods)]
    best = best_alone(rows)
    good = [row.recipe for row in rows if row.better and row.within_budget]
    over_best = None
    if len(good) > 1:
        merged = _merged(good)
        both = _row(bench, TOGETHER, [merged.fitted(bench.embedded(merged.views)["train"])], plain, latency_ms)
        over_best = contrast(both.average_precision, best.average_precision, both.groups, bench.resampling)
        rows.append(both)
    ablation = Ablation(rows, over_best, latency_ms, int(plain.values["n_queries"]), len(bench.parts["train"]))
    logger.info("neighbours: %s is kept (%s)", ablation.kept.method, ablation.kept.recipe.setting or "nothing to set")
    return ablation


def best_alone(rows: Sequence[Row]) -> Row:
    """The best single method that is kept by the budget and by its interval, or plain, which is the first row."""
    fit = [row for row in rows if row.within_budget and row.better and row.method != TOGETHER]
    return max(fit, key=lambda row: row.values["mAP"], default=rows[0])


def cost_step(ms: float) -> float:
    """The step of 1, 2, 5, 10, ... ms that a time is nearest to by ratio.

    Two runs of one pipeline measure different times, but must take the same decision and write the same tables: steps
    this wide swallow the difference, and a budget of 50 ms is exceeded from 71 ms on.
    """
    return min(STEPS_MS, key=lambda step: abs(np.log(max(ms, STEPS_MS[0]) / step)))


def _row(bench: Bench, method: str, recipes: list[Recipe], plain: Row | None, latency_ms: float) -> Row:
    """The best of a method's recipes by validation mAP, the first among equals, with its cost."""
    # one after the other: only the best gallery so far stays in memory
    judged = ((gallery, bench.retrieval(gallery)) for gallery in map(bench.prepared, recipes))
    gallery, result = max(judged, key=lambda pair: pair[1].metrics.means()["mAP"])
    how, precision = bench.resampling, np.asarray(result.metrics.per_query["mAP"])
    views = gallery.recipe.views
    embed = plain.embed_ms if plain and views is None else bench.embed_ms(views)
    rank = bench.rank_ms(gallery)
    added = max(0.0, embed + rank - plain.embed_ms - plain.rank_ms) if plain else 0.0
    return Row(
        method=method,
        recipe=gallery.recipe,
        values=retrieval_report(result, how.n, how.seed, how.confidence),
        average_precision=precision,
        groups=result.queries.groups,
        gain=contrast(precision, plain.average_precision, result.queries.groups, how) if plain else None,
        embed_ms=embed,
        rank_ms=rank,
        added_ms=added,
        extra_bytes=gallery.nbytes - bench.prepared(Recipe()).nbytes,
        within_budget=cost_step(added) <= latency_ms if plain else True,
    )


def _merged(recipes: list[Recipe]) -> Recipe:
    """One recipe with the parts of all."""
    parts = {part.name: getattr(recipe, part.name) for recipe in recipes for part in fields(recipe)
             if getattr(recipe, part.name) is not None}  # fmt: skip
    return Recipe(**parts)
