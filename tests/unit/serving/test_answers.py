from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.errors import DataError
from twinfolio.evaluation.calibration import Calibrator
from twinfolio.evaluation.conformal import Conformal
from twinfolio.retrieval import prepared
from twinfolio.retrieval.index import Index, Provenance
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.rows import Rows
from twinfolio.retrieval.scorers import DistanceScorer
from twinfolio.serving.answers import Searcher
from twinfolio.serving.certainty import Certainty, Unknown

CERTAINTY = Certainty(Calibrator("logistic", (1.0, -1.0)), None, Unknown(1.0, 0.05, 2), Conformal(0.4, 0.9, 30))


PLAIN = Recipe()


def head(gallery):
    return DistanceScorer(gallery, "l2", 3.0, 1.0)


def searcher(tiles=(1, 3, 2, 1, 1, 4), seed=0, certainty=None, near=None, recipe=PLAIN):
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(len(tiles)), tiles)
    rows = Rows.of(
        [(f"leaf {i:02}", "0", f"codex {i % 2}", f"page {i // 2}", "", f"sha {i}", f"s/{i}.png") for i in image]
    )
    vectors = rng.normal(size=(len(image), 5)).astype(np.float32)
    index = Index(vectors, rows, Provenance("m"), "here")
    gallery = PreparedGallery(recipe, vectors, rows.image_of_row, head)
    gallery.near = near
    return Searcher(index, gallery, certainty), vectors, image


def brute_force(query, vectors, image):
    logits = 3 - np.linalg.norm(query[:, None] - vectors[None], axis=-1)
    return np.array([logits[:, image == i].mean() for i in np.unique(image)])


def query(seed=5, tiles=3):
    return np.random.default_rng(seed).normal(size=(tiles, 5)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(1, 8),
    st.integers(0, 99),
    st.booleans(),
)
def test_answers_and_classes_are_those_of_a_full_scan(tiles, query_tiles, k, seed, small):
    ask, vectors, image = searcher(tuple(tiles), seed, CERTAINTY)
    means = brute_force(query(seed + 1, query_tiles), vectors, image)
    with mock.patch.object(prepared, "SMALL", prepared.SMALL if small else 0):
        reply = ask.ask(query(seed + 1, query_tiles), k)
    assert [answer.image_id for answer in reply.answers] == [f"leaf {i:02}" for i in np.argsort(-means)[:k]]
    assert [answer.score for answer in reply.answers] == pytest.approx(np.sort(means)[::-1][:k], abs=1e-4)
    best = {f"codex {c}": float(CERTAINTY.pairs(means[c::2].max())) for c in range(2) if len(means[c::2])}
    wanted = {name for name, p in best.items() if p >= 0.4 or p == max(best.values())}
    assert dict(reply.classes) == pytest.approx({name: best[name] for name in wanted}, abs=1e-4)
    assert reply.known == (means.max() >= 1.0)


def test_an_answer_carries_class_file_and_probability():
    ask, vectors, _ = searcher(certainty=CERTAINTY)
    answer = ask.ask(vectors[:1], 1).answers[0]
    assert (answer.image_id, answer.label, answer.path) == ("leaf 00", "codex 0", "s/0.png")
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-(answer.score - 1))))


def test_without_calibration_nothing_is_said_of_certainty():
    ask, vectors, _ = searcher()
    reply = ask.ask(vectors[:1], 2)
    assert (reply.known, reply.classes, reply.answers[0].probability) == (None, None, None)


def test_a_query_that_is_in_the_index_finds_itself_only_where_it_may():
    ask, vectors, image = searcher(certainty=CERTAINTY)
    own = vectors[image == 3]
    kept, left = ask.ask(own, 9, "sha 3", keep_self=True), ask.ask(own, 9, "sha 3")
    assert (kept.answers[0].image_id, kept.available, left.available) == ("leaf 03", 6, 5)
    assert "leaf 03" not in [answer.image_id for answer in left.answers]
    assert (kept.known, kept.classes) == (left.known, left.classes)


def test_the_own_page_is_left_out_where_asked():
    ask, vectors, image = searcher()
    found = [answer.image_id for answer in ask.ask(vectors[image == 3], 9, "sha 3", exclude_group=True).answers]
    assert sorted(found) == ["leaf 00", "leaf 01", "leaf 04", "leaf 05"]
    kept = ask.ask(vectors[image == 3], 9, "sha 3", keep_self=True, exclude_group=True)
    assert kept.answers[0].image_id == "leaf 03"
    assert kept.available == 5


def test_more_than_there_are_gives_all_there_are():
    ask, vectors, _ = searcher()
    reply = ask.ask(vectors[:1], 100)
    assert len(reply.answers) == reply.available == 6


def test_nothing_is_left_where_the_only_image_is_the_query():
    ask, vectors, _ = searcher((2,), certainty=CERTAINTY)
    reply = ask.ask(vectors, 3, "sha 0")
    assert (reply.answers, reply.available, reply.known, reply.classes) == ([], 0, False, [])


def test_near_ties_are_in_the_order_of_ids():
    rows, vectors = searcher((1,) * 40)[0].index.rows, np.ones((40, 5), np.float32)
    shuffled = rows[np.random.default_rng(0).permutation(40)]
    gallery = PreparedGallery(PLAIN, vectors, shuffled.image_of_row, head)
    ask = Searcher(Index(vectors, shuffled, Provenance("m"), "here"), gallery)
    assert [answer.image_id for answer in ask.ask(vectors[:1], 3).answers] == ["leaf 00", "leaf 01", "leaf 02"]


def test_an_approximate_search_is_scored_again_exactly():
    ask, vectors, image = searcher((1,) * 30)

    def near(queries, places):
        """Knows of every second row only."""
        rows = np.argsort(-ask.gallery.scorer.pairwise(queries), axis=1)[:, :places]
        return np.where(rows % 2 == 0, rows, -1)

    fast = searcher((1,) * 30, near=near)[0]
    means = brute_force(query(tiles=1), vectors, image)
    order = [i for i in np.argsort(-means) if i % 2 == 0]
    assert [answer.image_id for answer in fast.ask(query(tiles=1), 3).answers] == [f"leaf {i:02}" for i in order[:3]]


def test_k_below_one_says_so():
    ask, vectors, _ = searcher()
    with pytest.raises(DataError, match="k = 0"):
        ask.ask(vectors[:1], 0)
