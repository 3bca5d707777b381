from math import erf, sqrt

import numpy as np
import pytest

from twinfolio.evaluation import streaming
from twinfolio.evaluation.calibration import threshold_at_fmr
from twinfolio.evaluation.curves import PairScores
from twinfolio.evaluation.open_set import (
    Searches,
    auroc_interval,
    best_scores,
    impostor_scores,
    open_set_report,
)
from twinfolio.evaluation.retrieval_protocol import Items, exclusions

NONE = np.zeros(0, dtype=int)


def items(rng, n, prefix, classes=4):
    ids = np.array([f"{prefix}{i}" for i in range(n)])
    labels = rng.integers(0, classes, n)
    return Items(ids, labels, np.char.add(labels.astype(str), rng.integers(0, 3, n).astype(str)), ids)


def named(ids, labels, groups):
    return Items(*(np.array(list(letters)) for letters in (ids, labels, groups, ids)))


def searches(rng, n, groups, shift=0.0, decimals=1):
    return Searches(np.round(rng.normal(shift, 1, n), decimals), rng.random(n) < 0.8, rng.integers(0, groups, n))


def of(matrix):
    return lambda rows, columns: matrix[np.ix_(rows, columns)].astype(np.float32)


@pytest.fixture(params=[(1024, 4096), (3, 5), (7, 1)])
def tiles(request, monkeypatch):
    monkeypatch.setattr(streaming, "TILE_QUERIES", request.param[0])
    monkeypatch.setattr(streaming, "TILE_GALLERY", request.param[1])


@pytest.mark.parametrize("own_group", ["included", "excluded"])
def test_the_best_image_of_each_class_is_that_of_the_whole_matrix(tiles, own_group):
    rng = np.random.default_rng(0)
    queries, gallery = items(rng, 17, "q", classes=5), items(rng, 23, "g")
    matrix = rng.integers(0, 6, (17, 23)).astype(np.float32)  # ties in plenty
    found = best_scores(of(matrix), queries, gallery, own_group)
    open_pairs = ~exclusions(queries, gallery, own_group)
    assert found.classes.tolist() == np.unique(gallery.labels).tolist()
    for query in range(17):
        for place, label in enumerate(found.classes):
            allowed = np.flatnonzero(open_pairs[query] & (gallery.labels == label))
            if not len(allowed):
                assert (found.scores[query, place], found.rows[query, place]) == (-np.inf, -1)
                continue
            best = allowed[matrix[query, allowed].argmax()]
            assert (found.scores[query, place], found.rows[query, place]) == (matrix[query, best], best)


def test_itself_its_duplicates_and_its_page_speak_for_no_class():
    gallery = Items(
        np.array(list("abcd")), np.array(["x", "x", "x", "y"]), np.array(list("1123")), np.array(list("abcd"))
    )
    queries = Items(np.array(["a"]), np.array(["x"]), np.array(["1"]), np.array(["d"]))  # y holds its twin
    matrix = np.array([[9.0, 8, 7, 6]])
    excluded = best_scores(of(matrix), queries, gallery)
    assert (excluded.scores.tolist(), excluded.rows.tolist()) == ([[7, -np.inf]], [[2, -1]])
    assert best_scores(of(matrix), queries, gallery, "included").scores.tolist() == [[8, 6]]


def test_answers_say_who_was_found_and_who_can_be():
    gallery = Items(np.array(list("abc")), np.array(["x", "y", "y"]), np.array(list("abc")), np.array(list("abc")))
    queries = Items(
        np.array(list("pqrs")), np.array(["x", "y", "y", "z"]), np.array(list("pqrs")), np.array(list("pqrs"))
    )
    queries.groups[0] = "a"  # the only image of x is of its page
    matrix = np.array([[5.0, 1, 2], [1, 3, 2], [4, 3, 2], [1, 1, 1]])
    found = best_scores(of(matrix), queries, gallery)
    answers = found.searches(queries)
    assert found.places(queries.labels).tolist() == [0, 1, 1, -1]
    assert found.mated(queries.labels).tolist() == [False, True, True, False]
    assert answers.scores.tolist() == [2, 3, 4, 1]
    assert answers.identified.tolist() == [False, True, False, False]
    taken = answers.take(found.mated(queries.labels))
    assert (taken.scores.tolist(), taken.groups.tolist()) == ([3, 4], ["q", "r"])


def test_a_query_that_may_find_nothing_is_refused():
    one = Items(np.array(["a"]), np.array(["x"]), np.array(["a"]), np.array(["a"]))
    with pytest.raises(ValueError, match="infinity"):
        best_scores(of(np.ones((1, 1))), one, one).searches(one)


def test_impostors_are_queries_without_their_class(tiles):
    rng = np.random.default_rng(1)
    queries, gallery = items(rng, 17, "q", classes=5), items(rng, 23, "g")
    matrix = rng.normal(size=(17, 23)).astype(np.float32)
    found = impostor_scores(of(matrix), queries, gallery)
    for query in range(17):
        assert found[query] == matrix[query, gallery.labels != queries.labels[query]].max()


def test_impostors_choose_a_threshold_that_unknown_queries_keep():
    """Embeddings around class centres: the share of new classes' queries that is accepted is near the rate."""
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(100, 8))
    labels = np.repeat(np.arange(100), 20)
    vectors = centres[labels] + 0.3 * rng.normal(size=(2000, 8))
    ids = np.arange(2000).astype(str)
    everyone = Items(ids, labels, ids, ids)
    known, turn = labels < 60, np.arange(2000) % 2 == 0
    gallery, queries, unknown = (np.flatnonzero(part) for part in (known & turn, known & ~turn, ~known))

    def scores(rows):
        return lambda q, g: -np.linalg.norm(vectors[rows[q]][:, None] - vectors[gallery[g]][None], axis=2).astype("f4")

    impostors = impostor_scores(scores(queries), everyone.take(queries), everyone.take(gallery))
    threshold = threshold_at_fmr(impostors, np.zeros(len(impostors)), 0.05)
    asked = {
        name: best_scores(scores(rows), everyone.take(rows), everyone.take(gallery)).searches(everyone.take(rows))
        for name, rows in (("known", queries), ("unknown", unknown))
    }
    report = open_set_report(asked["known"], asked["unknown"], threshold, n=100)
    assert 0.01 < report["false_match_rate"] < 0.12
    assert report["known_identified"] > 0.8
    assert report["auroc"] > 0.9


def test_an_empty_gallery_and_a_nan_are_refused():
    rng = np.random.default_rng(0)
    queries, gallery = items(rng, 3, "q"), items(rng, 4, "g")
    with pytest.raises(ValueError, match="gallery is empty"):
        best_scores(of(np.ones((3, 0))), queries, gallery.take(NONE))
    with pytest.raises(ValueError, match="NaN"):
        best_scores(of(np.full((3, 4), np.nan)), queries, gallery)
    none = best_scores(of(np.ones((0, 4))), queries.take(NONE), gallery)
    assert none.scores.shape == (0, len(np.unique(gallery.labels)))


def test_the_report_by_hand():
    known = Searches(np.array([0.9, 0.8, 0.4, 0.5]), np.array([True, False, True, True]), np.array(list("aabc")))
    unknown = Searches(np.array([0.5, 0.1, 0.2]), np.zeros(3, dtype=bool), np.array(list("uvv")))
    report = open_set_report(known, unknown, 0.5, n=200)
    assert report["auroc"] == pytest.approx((12 - 1 - 0.5) / 12)  # .4 loses to .5, .5 ties with it
    assert report["false_match_rate"] == pytest.approx(1 / 3)
    assert report["known_accepted"] == 0.75
    assert report["known_identified"] == 0.5
    assert (report["n_known"], report["n_unknown"], report["threshold"]) == (4, 3, 0.5)
    for name in ("auroc", "false_match_rate", "known_accepted", "known_identified"):
        assert report[f"{name}_low"] <= report[name] <= report[f"{name}_high"]


def test_no_false_match_among_twenty_pages_is_no_proof_of_none():
    rng = np.random.default_rng(0)
    known, unknown = searches(rng, 50, 10), searches(rng, 100, 20, -3)
    report = open_set_report(known, unknown, 5.0, n=50)
    assert (report["false_match_rate"], report["false_match_rate_low"]) == (0, 0)
    assert report["false_match_rate_high"] == pytest.approx(1.96**2 / (20 + 1.96**2), abs=1e-3)


def test_the_area_is_that_of_the_curve_and_its_interval_that_of_weighted_curves():
    rng = np.random.default_rng(3)
    known, unknown = searches(rng, 60, 9, 0.8), searches(rng, 40, 6)
    area, interval = auroc_interval(known, unknown, n=200, seed=5)
    curve = PairScores.of(np.r_[known.scores, unknown.scores], np.arange(100) < 60)
    assert area == pytest.approx(curve.roc().area)
    draws = np.random.default_rng(5)  # the same draws, a curve each
    counts = [draws.multinomial(g, np.full(g, 1 / g), 200) for g in (9, 6)]
    sides = [np.unique(side.groups, return_inverse=True)[1] for side in (known, unknown)]
    areas = [curve.roc(np.r_[a[sides[0]], b[sides[1]]].astype(float)).area for a, b in zip(*counts, strict=True)]
    assert interval == pytest.approx(np.quantile(areas, [0.025, 0.975]))


def test_the_interval_holds_the_true_area_as_often_as_it_says():
    """Both sides of groups with a level of their own; the truth is that of two unit normals .8 apart plus levels."""
    truth = 0.5 * (1 + erf(0.8 / sqrt(2 * 1.25) / sqrt(2)))
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        sides = []
        for shift in (0.8, 0.0):
            groups = np.repeat(np.arange(30), 4)
            scores = shift + 0.5 * rng.normal(size=30)[groups] + rng.normal(size=120)
            sides.append(Searches(scores, np.ones(120, dtype=bool), groups))
        _, (low, high) = auroc_interval(*sides, n=200, seed=seed)
        held += low <= truth <= high
    assert 0.88 < held / 200 <= 1


def test_one_group_says_nothing_of_spread_and_an_empty_side_is_refused():
    rng = np.random.default_rng(0)
    known, unknown = searches(rng, 20, 5), searches(rng, 10, 1)
    assert np.isnan(auroc_interval(known, unknown)[1]).all()
    with pytest.raises(ValueError, match="20 known and 0 unknown"):
        open_set_report(known, unknown.take(NONE), 0.0)


def test_memory_stays_at_a_tile_and_the_result():
    """No call may ask for more than a tile of scores."""
    asked = []

    def scores(rows, columns):
        asked.append((len(rows), len(columns)))
        return np.zeros((len(rows), len(columns)), np.float32)

    rng = np.random.default_rng(0)
    impostor_scores(scores, items(rng, 1500, "q"), items(rng, 9000, "g"))
    assert max(rows for rows, _ in asked) <= streaming.TILE_QUERIES
    assert max(columns for _, columns in asked) <= streaming.TILE_GALLERY
    assert sum(rows * columns for rows, columns in asked) == 1500 * 9000
