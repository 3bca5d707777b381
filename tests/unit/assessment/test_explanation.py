import numpy as np
import pandas as pd
import pytest

from tests.unit.assessment.planted import planted_model, strokes
from twinfolio.assessment.attribution import available_kinds
from twinfolio.assessment.deletion import INK, RANDOM
from twinfolio.assessment.explanation import DRAWN, explain_answers
from twinfolio.assessment.images import first_answers, image_scores, originals
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.scene import Scene
from twinfolio.data.store import Store

MODEL = planted_model()


def store_of(split, images):
    ids = [f"{split}{i}" for i in range(len(images))]
    plain = {"copy": 0, "tile": 0, "label": "a", "group": [f"{split} p{i // 2}" for i in range(len(images))]}
    index = pd.DataFrame({"image_id": ids, **plain, "cluster": ids, "within_group": 0})
    return Store(np.stack(images), np.zeros(len(images), np.int64), index)


def scene_of(pictures):
    stores = {split: store_of(split, pictures[split]) for split in ("train", "val", "test")}
    parts = {split: originals(store) for split, store in stores.items()}
    return Scene(None, stores, parts, pd.DataFrame(), None, {}, Resampling(n=100))


def explained(pictures, n):
    scene = scene_of(pictures)
    test = MODEL.embed_uint8(np.stack(pictures["test"]))
    gallery = MODEL.embed_uint8(np.stack(pictures["train"] + pictures["val"]))
    scores = image_scores(MODEL.scores, test, scene.queries, gallery, scene.gallery)
    answers = first_answers(scores, scene.queries.items, scene.gallery.items, 10)
    return explain_answers(MODEL, answers, scene, n), answers, scene


@pytest.fixture(scope="module")
def found():
    pictures = {"train": [strokes(i) for i in range(3)], "val": [strokes(i) for i in range(3, 5)]}
    return explained(pictures | {"test": [strokes(i) for i in range(10, 15)]}, 5)


def test_the_table_has_a_row_a_kind_of_map_and_the_orders_that_know_nothing(found):
    explanation, _, _ = found
    assert explanation.table["map"].tolist() == [*available_kinds(MODEL), INK, RANDOM]
    assert (explanation.table["pairs"] == len(explanation.found.groups)).all()
    assert len(explanation.found.groups) + explanation.found.left_out == 5
    best = explanation.table.set_index("map").loc[available_kinds(MODEL)[0]]
    assert best["deletion_gain"] > 0.1


def test_a_few_pairs_are_drawn_each_a_query_with_its_first_answer(found):
    explanation, answers, scene = found
    assert len(explanation.drawn) == DRAWN
    for row in explanation.drawn:
        query = scene.queries.items.ids.tolist().index(row.pair.query_id)
        assert row.pair.answer_id == scene.gallery.items.ids[answers.ids[query, 0]]
        assert tuple(row.maps) == available_kinds(MODEL)


def test_pairs_in_the_test_are_as_many_as_asked_for():
    pictures = {split: [strokes(i) for i in range(3)] for split in ("train", "val")}
    explanation, _, _ = explained(pictures | {"test": [strokes(i) for i in range(10, 15)]}, 1)
    assert len(explanation.drawn) == len(explanation.found.groups) == 1


def test_where_no_score_depends_on_the_writing_nothing_is_explained(caplog):
    paper = [np.full((64, 64, 3), 200, np.uint8)]
    with caplog.at_level("WARNING"):
        explanation, _, _ = explained({"train": paper, "val": paper, "test": paper}, 1)
    assert explanation is None
    assert "matches are not explained" in caplog.text
