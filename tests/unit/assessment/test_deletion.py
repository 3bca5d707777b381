import numpy as np
import pytest

from tests.unit.assessment.planted import PLACES, planted_model, strokes
from twinfolio.assessment import deletion
from twinfolio.assessment.attribution import EXACT, GRADCAM, INTEGRATED, emptied
from twinfolio.assessment.deletion import (
    INK,
    RANDOM,
    area_under,
    deletion_test,
    faithfulness_table,
)
from twinfolio.assessment.judgement import Resampling
from twinfolio.assessment.match_pairs import MatchPair
from twinfolio.errors import DataError

HALF = PLACES // 2


def pairs_of(n):
    """A query and another page that agrees with it."""
    out = []
    for i in range(n):
        query = strokes(i)
        noise = np.random.default_rng(i).normal(0, 12, query.shape)
        answer = np.clip(query + noise, 0, 255).astype(np.uint8)
        out.append(MatchPair(query, answer, f"q{i}", f"a{i}", f"page{i // 2}", True))
    return out


@pytest.fixture(scope="module")
def found():
    return deletion_test(planted_model(), pairs_of(8))


def test_maps_that_know_the_planted_quadrant_beat_chance_on_every_query(found):
    for kind in (EXACT, INTEGRATED):
        for curves, sign in ((found.deletion, -1), (found.insertion, 1)):
            gain = sign * (area_under(found.shares, curves[kind]) - area_under(found.shares, curves[RANDOM]))
            assert (gain > 0).all(), kind
    quarter = np.searchsorted(found.shares, 0.25)
    # a quarter of the places is the whole quadrant
    np.testing.assert_allclose(found.deletion[EXACT][:, quarter], 0, atol=1e-4)
    np.testing.assert_allclose(found.insertion[EXACT][:, quarter], 1, atol=1e-4)


def test_curves_run_between_the_whole_and_the_wiped_query(found):
    assert list(found.deletion) == list(found.insertion) == [EXACT, GRADCAM, INTEGRATED, INK, RANDOM]
    for kind in found.deletion:
        assert found.deletion[kind].shape == found.insertion[kind].shape == (8, 9)
        np.testing.assert_allclose(found.deletion[kind][:, [0, -1]], [[1, 0]] * 8, atol=1e-5)
        np.testing.assert_allclose(found.insertion[kind][:, [0, -1]], [[0, 1]] * 8, atol=1e-5)
    assert (found.left_out, len(found.groups)) == (0, 8)
    assert found.seconds[INTEGRATED] > 0


def test_a_step_of_the_curve_is_the_score_of_the_image_with_these_places_wiped_out():
    model, (pair,) = planted_model(), pairs_of(1)
    values = np.random.default_rng(5).normal(size=(PLACES, PLACES))
    answer = model.embed_uint8(pair.answer[None])
    shares = np.array([0.0, 0.5, 1.0])
    got = deletion._curves(model, pair.query, answer, values, shares)
    highest = np.kron(values > np.median(values), np.ones((8, 8)))[..., None].astype(bool)
    for row, wiped in enumerate((highest, ~highest)):
        image = np.where(wiped, emptied(pair.query), pair.query)
        assert got[row, 1] == pytest.approx(float(model.paired_scores(model.embed_uint8(image[None]), answer)[0]))


def test_one_seed_gives_one_result(found):
    again = deletion_test(planted_model(), pairs_of(8))
    for kind in found.deletion:
        np.testing.assert_array_equal(found.deletion[kind], again.deletion[kind])
    other = deletion_test(planted_model(), pairs_of(8), seed=1)
    assert (found.deletion[RANDOM] != other.deletion[RANDOM]).any()


def test_pairs_that_do_not_depend_on_the_query_are_left_out_and_counted():
    (good, *_) = pairs_of(1)
    flat = np.full_like(good.query, 200)
    empty = MatchPair(flat, flat, "q", "a", "p", True)
    found = deletion_test(planted_model(), [good, good, empty])
    assert (found.left_out, len(found.groups)) == (1, 2)
    for pairs in ([empty], []):
        with pytest.raises(DataError, match="deletion test"):
            deletion_test(planted_model(), pairs)


def test_the_table_has_areas_and_gains_with_intervals(found):
    table = faithfulness_table(found, Resampling(200, 0)).set_index("map")
    assert list(table.index) == list(found.deletion)
    for kind, row in table.iterrows():
        for test, curves, sign in (("deletion", found.deletion, -1), ("insertion", found.insertion, 1)):
            area = np.trapezoid(curves[kind], found.shares, axis=1).mean()
            assert row[test] == pytest.approx(area)
            assert row[f"{test}_low"] <= area <= row[f"{test}_high"]
            if kind == RANDOM:
                assert np.isnan(row[f"{test}_gain"])
            else:
                chance = np.trapezoid(curves[RANDOM], found.shares, axis=1).mean()
                assert row[f"{test}_gain"] == pytest.approx(sign * (area - chance))
    assert table.loc[EXACT, "deletion_gain_low"] > 0
    assert table.loc[EXACT, "insertion_gain_low"] > 0
