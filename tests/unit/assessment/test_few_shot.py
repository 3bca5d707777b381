from dataclasses import replace

import numpy as np
import pytest

from tests.unit.assessment.conftest import make_systems, write_unknown
from twinfolio.assessment.embeddings import embed_originals
from twinfolio.assessment.few_shot import LEARNED, NEW, TrialPlan, few_shot
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.scene import open_scene

PLAN = TrialPlan(ways=20, shots=1, trials=60, seed=0)


@pytest.fixture
def scene(whole_store):
    return open_scene(whole_store, {}, 5, 5, Resampling(n=100, seed=0))


@pytest.fixture
def system():
    return next(one for one in make_systems() if one.name == "cosine")


def ask(system, scene, plan=PLAN):
    vectors = embed_originals(system, scene.stores["test"].images, scene.queries, "test")
    return few_shot(system, scene, vectors, plan)


def test_no_more_ways_are_asked_than_there_are_classes(system, scene):
    (learned,) = ask(system, scene)
    assert learned.side == LEARNED
    assert learned.trials.ways == len(scene.info.classes)
    assert len(learned.trials) == PLAN.trials


def test_a_query_never_meets_its_own_group_or_a_copy_of_itself(system, scene):
    items = scene.queries.items
    groups = items.groups.copy()
    clusters = items.clusters.copy()
    label = items.labels[0]
    own = np.flatnonzero(items.labels == label)
    others = own[groups[own] != groups[own[0]]]
    clusters[others[0]] = clusters[own[0]]  # a copy on another page ties both pages together
    tied = replace(scene.queries, items=replace(items, clusters=clusters))
    scene = replace(scene, parts=scene.parts | {"test": tied})
    (learned,) = ask(system, scene, replace(PLAN, trials=400))
    trials = learned.trials
    answer = trials.support[np.arange(len(trials)), trials.answers, 0]
    assert (items.labels[answer] == items.labels[trials.queries]).all()
    assert (groups[answer] != groups[trials.queries]).all()
    pages = {groups[own[0]], groups[others[0]]}
    pairs = {(groups[q], groups[a]) for q, a in zip(trials.queries, answer, strict=True) if items.labels[q] == label}
    assert not any({*pair} == pages for pair in pairs)


def test_a_constant_scorer_is_right_by_chance_and_an_oracle_always(system, scene):
    shrug = replace(system, scores=lambda x, y: np.zeros((len(x), len(y))))
    (learned,) = ask(shrug, scene)
    assert learned.accuracy == pytest.approx(1 / learned.trials.ways)
    assert learned.interval == pytest.approx((learned.accuracy, learned.accuracy))
    classes = np.repeat(scene.queries.items.labels, np.bincount(scene.queries.row_image))
    oracle = replace(system, scores=lambda x, y: (x == y.T).astype(float))
    (best,) = few_shot(oracle, scene, classes[:, None].astype(np.float32), PLAN)
    assert best.accuracy == 1
    assert best.interval.low < 1  # few groups never make certain


def test_all_held_out_classes_are_asked_about(system, whole_store):
    write_unknown(whole_store)
    scene = open_scene(whole_store, {}, 5, 5, Resampling(n=100, seed=0))
    learned, new = ask(system, scene)
    assert (learned.side, new.side) == (LEARNED, NEW)
    assert new.trials.ways == 4
    assert all(name.startswith("un") for name in new.ids)
    assert new.accuracy > 1 / 4


def test_what_cannot_be_asked_is_said(system, scene):
    (learned,) = ask(system, scene, replace(PLAN, shots=1000))
    assert learned.trials is None
    assert np.isnan(learned.accuracy)
    assert "1000" in learned.reason
