import numpy as np

from tests.unit.assessment.planted import PLACES, planted_model, strokes
from twinfolio.assessment.attribution import attribution_map, available_kinds
from twinfolio.assessment.images import join, originals
from twinfolio.assessment.match_pairs import MatchPair, mapped, pairs_to_explain
from twinfolio.data.store import Store
from twinfolio.retrieval.ranking import rank


def test_pairs_to_explain_are_pictures_of_the_named_images(store_root):
    train, val = Store.open(store_root / "train"), Store.open(store_root / "val")
    queries, gallery = originals(val), join(originals(train), originals(val))
    scores = np.random.default_rng(0).normal(size=(len(queries), len(gallery)))
    ranking = rank(scores, k=1)
    pairs = pairs_to_explain(ranking, queries, gallery, val, [train, val], 7)
    assert len({pair.query_id for pair in pairs}) == 7
    for pair in pairs:
        query = queries.items.ids.tolist().index(pair.query_id)
        assert gallery.items.ids[scores[query].argmax()] == pair.answer_id
        assert pair.group == queries.items.groups[query]
        assert pair.right == (pair.query_id.split("/")[0] == pair.answer_id.split("/")[0])
        np.testing.assert_array_equal(pair.query, val.images[queries.first_row(query)])
    assert len(pairs_to_explain(ranking, queries, gallery, val, [train, val], 10_000)) == len(queries)


def test_mapped_pairs_have_every_kind_on_their_own_side():
    model, pair = planted_model("distance", "l1"), MatchPair(strokes(0), strokes(1), "q", "a", "g", True)
    (row,) = mapped(model, [pair])
    assert tuple(row.maps) == available_kinds(model)
    for kind, (query, answer) in row.maps.items():
        assert query.shape == answer.shape == (PLACES, PLACES)
        np.testing.assert_array_equal(query, attribution_map(model, kind, pair.query, pair.answer))
        np.testing.assert_array_equal(answer, attribution_map(model, kind, pair.answer, pair.query))
