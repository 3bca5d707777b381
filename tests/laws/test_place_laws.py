"""Maps of places sum to the score, whatever the places are."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.test_head_laws import trained_head
from twinfolio.models.distances import unit_vectors
from twinfolio.retrieval.places import correspondences, difference_split, head_split, pair_split

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


def drawn(case, kind, distance):
    """A head, its weight, both images, and their embeddings in double precision."""
    first, second = places(case)
    head = trained_head(kind, distance, len(first), torch.Generator().manual_seed(case[0]))
    weight = head.weight.detach().numpy() if kind == "weighted" else None
    return head, weight, (first, second), [embedding(part, case[-1]) for part in (first, second)]


def score_of(head, x, y):
    """Minus the distance, or the weighted sum without its bias, by the head itself."""
    with torch.no_grad():
        logit = float(head.paired(x, y))
        if head.kind == "weighted":
            return logit - float(head.bias)
        return (logit - float(head.offset)) / float(head.log_scale.exp()) / head.unit


@pytest.mark.parametrize(("kind", "distance"), LINEAR)
@settings(max_examples=30, deadline=None)
@given(case=cases)
def test_each_map_sums_to_what_both_images_make_of_the_score_together(kind, distance, case):
    head, weight, images, (x, y) = drawn(case, kind, distance)
    split = head_split(kind, distance, normalise=case[-1], weight=weight)
    maps = split.maps(*images)
    assert [part.shape for part in maps] == [part.shape[1:] for part in images]
    common, score = split.total(*maps), score_of(head, x, y)
    weights = -torch.ones(len(images[0])) if weight is None else torch.from_numpy(weight)
    if distance == "cosine":
        got = common - (1 if kind == "distance" else 0)
    else:
        own = sum(float((weights * (z.abs() if distance == "l1" else z.square())).sum()) for z in (x, y))
        got = own + 2 * common  # minus L1, minus L2 squared, or the weighted sum
        score = -(score**2) if (kind, distance) == ("distance", "l2") else score
    scale = 2e-5 * max(1.0, abs(score), float((weights.abs() * (x.abs() + y.abs() + x**2 + y**2)).sum()))
    assert got == pytest.approx(score, abs=scale)
    assert [float(part.sum()) for part in maps] == pytest.approx([common] * 2, abs=scale)


@pytest.mark.parametrize(("kind", "distance"), [case for case in LINEAR if case[1] != "cosine"])
@settings(max_examples=30, deadline=None)
@given(case=cases)
def test_both_maps_of_a_difference_sum_to_the_heads_own_score(kind, distance, case):
    head, weight, images, (x, y) = drawn(case, kind, distance)
    split = difference_split(distance, normalise=case[-1], weight=weight)
    score = score_of(head, x, y)
    weights = 1.0 if weight is None else float(np.abs(weight).max())
    scale = 2e-5 * max(1.0, abs(score), weights * float((x.abs() + y.abs() + x**2 + y**2).sum()))
    assert split.total(*split.maps(*images)) == pytest.approx(score, abs=scale)


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
