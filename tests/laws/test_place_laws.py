"""Maps of places sum to the score, whatever the places are."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.test_head_laws import trained_head
from twinfolio.models.distances import unit_vectors
from twinfolio.retrieval.places import correspondences, head_split, pair_split

LINEAR = [(kind, distance) for kind in ("distance", "weighted") for distance in ("l1", "l2", "cosine")]
cases = st.tuples(st.integers(0, 9999), st.integers(2, 24), st.integers(1, 5), st.integers(1, 5), st.booleans())


def places(case):
    """Two images of one width; the second has another shape, and both have a mean that is not 0."""
    seed, dim, height, width, _ = case
    generator = np.random.default_rng(seed)
    shapes = (dim, height, width), (dim, width + 1, height)
    return [(generator.normal(size=s) + generator.normal(size=(dim, 1, 1))).astype(np.float32) for s in shapes]


def embedding(of, normalise):
    mean = torch.from_numpy(of.mean((1, 2), dtype=np.float64).astype(np.float32))[None]
    return unit_vectors(mean) if normalise else mean


@pytest.mark.parametrize(("kind", "distance"), LINEAR)
@settings(max_examples=30, deadline=None)
@given(case=cases)
def test_two_maps_sum_to_the_heads_own_score(kind, distance, case):
    normalise = case[-1]
    first, second = places(case)
    head = trained_head(kind, distance, len(first), torch.Generator().manual_seed(case[0]))
    weight = head.weight.detach().numpy() if kind == "weighted" else None
    split = head_split(kind, distance, normalise=normalise, weight=weight)
    x, y = embedding(first, normalise), embedding(second, normalise)
    maps = split.maps(first, second)
    assert [part.shape for part in maps] == [first.shape[1:], second.shape[1:]]
    with torch.no_grad():
        logit = float(head.paired(x, y))
        if kind == "weighted":
            expected = logit - float(head.bias)
        else:
            distance_now = (float(head.offset) - logit) / float(head.log_scale.exp()) / head.unit
            # L2 between unit vectors is drawn as the cosine it ranks like
            drawn = 1 - distance_now**2 / 2 if distance == "l2" and normalise else -distance_now
            expected = drawn + (1 if distance == "cosine" else 0)
    scale = max(1.0, abs(expected), float(x.abs().sum() + y.abs().sum()))
    assert split.total(*maps) == pytest.approx(expected, abs=2e-5 * scale)
    if split.each:
        assert [float(part.sum()) for part in maps] == pytest.approx([expected] * 2, abs=2e-5 * scale)


@settings(max_examples=30, deadline=None)
@given(case=cases)
def test_pairs_of_places_sum_to_each_map_and_to_the_cosine(case):
    first, second = places(case)
    maps = head_split(None, None, normalise=True).maps(first, second)
    both = pair_split(first, second)
    assert both.sum(1) == pytest.approx(maps[0].ravel(), abs=1e-5)
    assert both.sum(0) == pytest.approx(maps[1].ravel(), abs=1e-5)
    cosine = float((embedding(first, True) * embedding(second, True)).sum())
    assert float(both.sum(dtype=np.float64)) == pytest.approx(cosine, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(case=cases, k=st.integers(1, 30))
def test_correspondences_fall_and_use_no_place_twice(case, k):
    first, second = places(case)
    found = correspondences(first, second, k)
    both = pair_split(first, second).reshape(*first.shape[1:], *second.shape[1:])
    assert len(found) == min(k, first[0].size, second[0].size)
    assert found[0].share == both.max()
    assert all(before.share >= after.share for before, after in pairwise(found))
    assert all(both[one.first + one.second] == np.float32(one.share) for one in found)
    for side in ("first", "second"):
        assert len({getattr(one, side) for one in found}) == len(found)
