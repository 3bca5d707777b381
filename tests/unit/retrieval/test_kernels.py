import os

import numpy as np
import pytest

from twinfolio.retrieval import kernels, parts


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(params=[1, 3])
def threads(request, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str(request.param))
    monkeypatch.setattr(parts, "_CELLS", 64)


@pytest.mark.parametrize("queries", [1, 3, 4, 6, 70])
def test_sums_over_dimensions_are_those_of_all_differences(queries, threads):
    x, y, weight = draw(queries, 19), draw(37, 19, seed=1), draw(19, seed=2)
    difference = x[:, None].astype(np.float64) - y
    assert kernels.squared_l2(x, y) == pytest.approx((difference**2).sum(-1), rel=1e-5)
    assert kernels.weighted_l1(x, y, weight) == pytest.approx(np.abs(difference) @ weight, rel=1e-5, abs=1e-5)


def test_equal_rows_are_at_no_distance_at_all():
    rows = draw(5, 300)
    assert (np.diag(kernels.squared_l2(rows, rows)) == 0).all()


def test_the_second_layer_is_both_orders_summed(threads):
    cross, common, order = draw(9, 4 * 7), draw(9, 7, seed=1).astype(float), draw(9, 7, seed=2).astype(float)
    own, own_order, scalar = draw(4, 7, seed=3), draw(4, 7, seed=4), draw(4, 9, seed=5)
    weight, last = draw(7, seed=6), draw(7, seed=7)
    c = cross.reshape(9, 4, 7).transpose(1, 0, 2) + common + own[:, None] + scalar[..., None] * weight
    o = own_order[:, None] - order
    expected = (np.maximum(c + o, 0) + np.maximum(c - o, 0)) @ last
    found = kernels.fusion_second_layer(cross, (common, order), (own, own_order), scalar, (weight, last))
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("places", [1, 2, 7, 40, 50])
@pytest.mark.parametrize("heap", [0, 1024])
def test_the_largest_are_those_of_a_full_sort_whatever_their_order(places, heap, threads, monkeypatch):
    monkeypatch.setattr(kernels, "_HEAP", heap)
    scores = np.round(draw(12, 50), 1)  # many ties
    scores[0].sort()
    scores[1][::-1].sort()
    found = kernels.largest(scores, places)
    assert all(len(set(row)) == places for row in found.tolist())
    assert (np.sort(np.take_along_axis(scores, found, 1)) == np.sort(scores)[:, -places:]).all()


def test_parts_cover_the_rows_once_and_come_in_order(threads):
    assert np.concatenate(parts.in_parts((1001, 10), lambda part: np.arange(1001)[part])).tolist() == list(range(1001))


def test_a_failure_in_a_part_is_not_lost(threads):
    def work(part):
        if part.stop == 1000:
            raise ValueError("the last part")

    with pytest.raises(ValueError, match="the last part"):
        parts.in_parts((1000, 10), work)


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("2,1", 2), ("", None), ("many", None), ("0", None)])
def test_threads_are_those_asked_for_or_one_a_core(value, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert parts.threads() == (expected or len(os.sched_getaffinity(0)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_works_with_threads_of_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(parts, "_CELLS", 1)
    parts.in_parts((10, 10), lambda part: part)
    child = os.fork()
    if not child:
        os._exit(0 if len(parts.in_parts((10, 10), lambda part: part)) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
