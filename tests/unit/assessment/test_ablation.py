from dataclasses import replace

import numpy as np
import pytest

from twinfolio.assessment.ablation import Ablation, Grid, Row, ablate, cost_step
from twinfolio.assessment.images import ImageSet
from twinfolio.assessment.judgement import Contrast, Resampling
from twinfolio.assessment.neighbour_bench import Bench
from twinfolio.assessment.systems import System
from twinfolio.evaluation.retrieval_protocol import Items
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import DistanceScorer, unit_rows
from twinfolio.retrieval.views import Views

METHODS = ("whitening", "views", "query_expansion", "database_augmentation", "reciprocal")
CLASSES, PAGES, LEAVES, WIDTH = 6, 6, 3, 16


def grid(*methods, **settings):
    every = {
        "dims": [8, 16], "shrinkage": [0.01], "per_side": [1], "crop": [0.5], "neighbours": [2, 4], "alpha": [0.0, 1.0],
        "k1": [12], "k2": [3], "weight": [0.3], "candidates": 30,
    }  # fmt: skip
    return Grid(methods, **{**every, **settings})


def cosine(gallery):
    return DistanceScorer(gallery, "cosine", 0.0, 8.0)


def image_set(pages, name):
    label, page, _ = (x.ravel() for x in np.meshgrid(range(CLASSES), pages, range(LEAVES), indexing="ij"))
    ids = np.array([f"{name}{i}" for i in range(len(label))])
    n = np.arange(len(ids))
    items = Items(ids, label, np.array([f"{c}/{p}" for c, p in zip(label, page, strict=True)]), ids)
    return ImageSet(items, np.zeros(len(n), bool), n, np.zeros(len(n), np.int64), n)


class Ticking:
    """A clock that costs nothing but moves a millisecond at each look."""

    now = 0.0

    def __call__(self):
        self.now += 0.001
        return self.now


def bench_of(draw, clock=None):
    """A bench of vectors that ``draw(labels, rng)`` makes; an image holds its own number and nothing else."""
    parts = {"train": image_set(range(PAGES), "t"), "val": image_set(range(PAGES, PAGES + 3), "v")}
    rng = np.random.default_rng(0)
    vectors = {split: draw(of.items.labels, rng) for split, of in parts.items()}

    class Split:
        def __init__(self, of):
            self.images = np.zeros((len(of), 4, 4, 3), np.uint8)

    stores = {split: Split(of) for split, of in parts.items()}
    embed = lambda images: np.ones((len(images), WIDTH), np.float32)  # noqa: E731
    system = System("cosine", embed, lambda x, y: x @ y.T)
    return Bench(system, cosine, stores, parts, {None: vectors}, Resampling(200), 3, clock or Ticking())


def drowned(labels, rng):
    """Classes lie in directions of little spread; two loud directions say nothing. Whitening is made for this."""
    centres = np.random.default_rng(5).normal(size=(CLASSES, WIDTH))
    vectors = centres[labels] + 0.45 * rng.normal(size=(len(labels), WIDTH))
    vectors[:, :2] = 9 * rng.normal(size=(len(labels), 2))
    return vectors.astype(np.float32)


def clouds(labels, rng):
    """Classes overlap at their rims, where a query's neighbours know better than the query."""
    centres = unit_rows(np.random.default_rng(7).normal(size=(CLASSES, WIDTH)).astype(np.float32))
    return unit_rows((centres[labels] + 0.3 * rng.normal(size=(len(labels), WIDTH))).astype(np.float32))


def by_method(ablation):
    return {row.method: row for row in ablation.rows}


def test_whitening_is_kept_where_loud_directions_say_nothing():
    ablation = ablate(bench_of(drowned), grid("whitening", "query_expansion"), 50.0)
    row = by_method(ablation)["whitening"]
    assert row.gain.low > 0
    assert row.gain.p < 0.01
    assert row.values["mAP"] > ablation.rows[0].values["mAP"] + 0.2
    assert ablation.kept.recipe.whitening is not None


@pytest.mark.parametrize("method", METHODS[2:])
def test_neighbours_help_where_classes_overlap_at_their_rims(method):
    ablation = ablate(bench_of(clouds), grid(method), 50.0)
    assert by_method(ablation)[method].gain.low > 0
    assert ablation.kept.method == method


def test_what_helps_alone_is_tried_together_and_kept_where_that_is_better_still():
    ablation = ablate(bench_of(clouds), grid("query_expansion", "reciprocal"), 50.0)
    rows = by_method(ablation)
    assert rows["together"].recipe.expansion == rows["query_expansion"].recipe.expansion
    assert rows["together"].recipe.reciprocal == rows["reciprocal"].recipe.reciprocal
    assert ablation.over_best.low > 0
    assert ablation.kept.method == "together"


def test_plain_is_kept_where_nothing_is_left_to_gain():
    def apart(labels, rng):
        return (np.eye(WIDTH)[labels] + 0.05 * rng.normal(size=(len(labels), WIDTH))).astype(np.float32)

    ablation = ablate(bench_of(apart), grid("whitening", "query_expansion", "reciprocal"), 50.0)
    assert ablation.rows[0].values["mAP"] == 1
    assert ablation.kept.recipe == Recipe()
    assert [row.method for row in ablation.rows] == ["plain", "whitening", "query_expansion", "reciprocal"]


def test_without_methods_plain_is_kept():
    assert ablate(bench_of(drowned), grid(), 50.0).kept.recipe == Recipe()


def test_the_best_setting_of_a_grid_is_shown():
    bench = bench_of(drowned)
    both = by_method(ablate(bench, grid("whitening"), 50.0))["whitening"]
    alone = [by_method(ablate(bench, grid("whitening", dims=[dims]), 50.0))["whitening"] for dims in (8, 16)]
    assert both.values["mAP"] == max(row.values["mAP"] for row in alone)
    assert len({row.values["mAP"] for row in alone}) == 2


def test_views_cost_their_embeddings_and_are_left_where_they_cost_too_much():
    clock = Ticking()
    bench = bench_of(drowned, clock)
    truth = {split: bench.parts[split].items.labels for split in ("train", "val")}
    seen = {split: np.eye(WIDTH, dtype=np.float32)[labels] for split, labels in truth.items()}
    bench.vectors[Views(1, 0.5)] = seen  # as if crops told all classes apart

    def embed(images):
        clock.now += 0.04 * len(images)
        return np.ones((len(images), WIDTH), np.float32)

    bench = replace(bench, system=replace(bench.system, embed=embed))
    dear = ablate(bench, grid("views"), 20.0)
    row = by_method(dear)["views"]
    assert row.values["mAP"] == 1
    assert row.added_ms == pytest.approx(40, abs=1)
    assert not row.within_budget
    assert dear.kept.recipe == Recipe()
    assert ablate(bench, grid("views"), 50.0).kept.method == "views"


def test_every_method_has_a_row_and_its_time():
    ablation = ablate(bench_of(clouds), grid(*METHODS), 50.0)
    assert [row.method for row in ablation.rows][:6] == ["plain", *METHODS]
    assert set(ablation.timing()) >= {f"neighbours_{name}_added_ms" for name in METHODS}
    assert by_method(ablation)["database_augmentation"].extra_bytes > 0
    assert ablation.n_queries == CLASSES * 3 * LEAVES


def row(method, value, low, within=True):
    gain = None if method == "plain" else Contrast(value - 0.5, low, 1.0, 0.01, 0.02, 7, 3)
    one = np.ones(1)
    return Row(method, Recipe(), {"mAP": value}, one, one, gain, 1, 1, 1, 0, within)


@pytest.mark.parametrize(
    ("rows", "over", "kept"),
    [
        ([("a", 0.6, 0.01), ("b", 0.7, 0.01)], None, "b"),
        ([("a", 0.6, 0.01), ("b", 0.7, -0.01)], None, "a"),
        ([("a", 0.6, 0.01), ("b", 0.7, 0.01, False)], None, "a"),
        ([("a", 0.6, -0.01), ("b", 0.7, 0.0)], None, "plain"),
        ([("a", 0.6, 0.01), ("b", 0.7, 0.01), ("together", 0.8, 0.1)], (0.1, 0.02), "together"),
        ([("a", 0.6, 0.01), ("b", 0.7, 0.01), ("together", 0.8, 0.1)], (0.1, -0.02), "b"),
        ([("a", 0.6, 0.01), ("b", 0.7, 0.01), ("together", 0.8, 0.1, False)], (0.1, 0.02), "b"),
    ],
)
def test_what_is_kept_is_better_for_sure_within_the_budget_and_no_more_than_needed(rows, over, kept):
    lead = None if over is None else Contrast(over[0], over[1], 1.0, 0.01, 0.02, 7, 3)
    assert Ablation([row("plain", 0.5, 0), *(row(*r) for r in rows)], lead, 50.0, 1, 1).kept.method == kept


def test_costs_are_rounded_to_the_step_that_is_nearest_by_ratio():
    assert [cost_step(ms) for ms in (0, 0.4, 1.4, 1.5, 6, 49, 51, 70, 71, 8e9)] == [1, 1, 1, 2, 5, 50, 50, 50, 100, 5e5]
