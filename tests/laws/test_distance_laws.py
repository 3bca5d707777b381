from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance as reference

from twinfolio.models.distances import DISTANCES, distance_unit, paired_distance, pairwise_distance, unit_vectors

REFERENCES = {"l1": reference.cityblock, "l2": reference.euclidean, "cosine": reference.cosine}


def draw(seed: int, n: int, m: int, dim: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator) * scale, torch.randn(m, dim, generator=generator) * scale


shapes = st.tuples(
    st.integers(0, 9999), st.integers(1, 9), st.integers(1, 40), st.integers(2, 70), st.sampled_from([0.1, 1.0, 30.0])
)


@pytest.mark.parametrize("name", DISTANCES)
@settings(max_examples=25, deadline=None)
@given(shape=shapes)
def test_pairwise_and_paired_give_scipys_distances(name, shape):
    x, y = draw(*shape)
    expected = np.array([[REFERENCES[name](a, b) for b in y.double().numpy()] for a in x.double().numpy()])
    pairwise = pairwise_distance(name, x, y)
    assert pairwise.shape == (len(x), len(y))
    np.testing.assert_allclose(pairwise.numpy(), expected, rtol=1e-5, atol=1e-6)
    for row in range(len(x)):
        paired = paired_distance(name, x[row].expand_as(y), y)
        np.testing.assert_allclose(paired.numpy(), expected[row], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", DISTANCES)
@settings(max_examples=15, deadline=None)
@given(shape=shapes)
def test_distances_are_symmetric_at_least_zero_and_zero_to_oneself(name, shape):
    x, y = draw(*shape)
    forth, back = pairwise_distance(name, x, y), pairwise_distance(name, y, x)
    torch.testing.assert_close(forth, back.T, rtol=1e-5, atol=1e-6)
    assert (forth >= 0).all()
    assert (pairwise_distance(name, x, x).diagonal() < 1e-6).all()


@pytest.mark.parametrize("name", ["l1", "l2"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 9999), gap=st.sampled_from([1e-2, 1e-4, 1e-6]))
def test_distances_of_near_copies_keep_their_digits(name, seed, gap):
    x, _ = draw(seed, 6, 1, 64, 1.0)
    y = x + gap * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed + 1))
    paired = paired_distance(name, x, y)
    torch.testing.assert_close(pairwise_distance(name, x, y).diagonal(), paired, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", DISTANCES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 9999), dim=st.integers(2, 300))
def test_in_their_unit_distances_on_the_sphere_stay_within_two(name, seed, dim):
    x, y = (unit_vectors(part) for part in draw(seed, 8, 8, dim, 1.0))
    assert (pairwise_distance(name, x, y) * distance_unit(name, dim) <= 2 + 1e-5).all()


@pytest.mark.parametrize("name", DISTANCES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 9999))
def test_gradients_of_pairwise_are_those_of_paired(name, seed):
    x, y = draw(seed, 5, 5, 8, 1.0)
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    pairwise_distance(name, first, y).diagonal().sum().backward()
    paired_distance(name, second, y).sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-6)
