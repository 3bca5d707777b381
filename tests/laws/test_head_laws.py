"""Every head with every distance passes the same suite."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.models.distances import DISTANCES, unit_vectors
from twinfolio.models.heads import HEADS, Head, build_head

RELATIVE = 1e-5
SPACES = ("sphere", "sigmoid", "pooled")
every_head = pytest.mark.parametrize(
    ("kind", "distance"), [(kind, distance) for kind in HEADS for distance in DISTANCES]
)
cases = st.tuples(
    st.integers(0, 9999), st.integers(1, 12), st.integers(1, 30), st.integers(2, 48), st.sampled_from(SPACES)
)


def embeddings(space: str, n: int, dim: int, generator: torch.Generator) -> torch.Tensor:
    raw = torch.randn(n, dim, generator=generator)
    if space == "sphere":
        return unit_vectors(raw)
    return torch.sigmoid(raw) if space == "sigmoid" else 5 * raw.relu()


def trained_head(kind: str, distance: str, dim: int, generator: torch.Generator) -> Head:
    """A head whose parameters, of both signs, are far from where they start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        head = build_head(kind, distance, dim)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += 0.7 * torch.randn(parameter.shape, generator=generator)
    return head.eval()


def draw(kind: str, distance: str, case: tuple[int, int, int, int, str]) -> tuple[Head, torch.Tensor, torch.Tensor]:
    seed, n, m, dim, space = case
    generator = torch.Generator().manual_seed(seed)
    head = trained_head(kind, distance, dim, generator)
    return head, embeddings(space, n, dim, generator), embeddings(space, m, dim, generator)


def rounding(expected: torch.Tensor, *sides: torch.Tensor) -> float:
    """What float32 may lose: the squares of a fusion's first layer cancel, and their rounding stays."""
    return RELATIVE * max(1.0, *(float(values.abs().max()) for values in (expected, *(x.square() for x in sides))))


def all_pairs_by_paired(head: Head, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The slow twin of ``pairwise``."""
    return torch.stack([head.paired(row.expand_as(y), y) for row in x])


@every_head
@settings(max_examples=20, deadline=None)
@given(case=cases)
def test_pairwise_equals_paired_and_orders_alike(kind, distance, case):
    head, x, y = draw(kind, distance, case)
    with torch.no_grad():
        fast, slow = head.pairwise(x, y), all_pairs_by_paired(head, x, y)
    tolerance = rounding(slow, x, y)
    assert fast.shape == (len(x), len(y))
    torch.testing.assert_close(fast, slow, rtol=0, atol=tolerance)
    clearly_above = slow[:, :, None] > slow[:, None, :] + 2 * tolerance
    assert (fast[:, :, None] > fast[:, None, :])[clearly_above].all()


@every_head
@settings(max_examples=10, deadline=None)
@given(case=cases)
def test_scores_do_not_depend_on_the_order_of_the_two(kind, distance, case):
    head, x, y = draw(kind, distance, case)
    with torch.no_grad():
        forth, back = head.pairwise(x, y), head.pairwise(y, x).T
        paired_forth, paired_back = all_pairs_by_paired(head, x, y), all_pairs_by_paired(head, y, x).T
    tolerance = rounding(paired_forth, x, y)
    torch.testing.assert_close(forth, back, rtol=0, atol=2 * tolerance)
    torch.testing.assert_close(paired_forth, paired_back, rtol=0, atol=tolerance)


@every_head
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 9999))
def test_gradients_of_pairwise_are_those_of_paired(kind, distance, seed):
    head, x, y = draw(kind, distance, (seed, 4, 5, 16, "sphere"))
    gradients = []
    for scores in (head.pairwise, lambda a, b: all_pairs_by_paired(head, a, b)):
        head.zero_grad()
        point = x.clone().requires_grad_()
        torch.sigmoid(scores(point, y)).sum().backward()
        gradients.append([point.grad, *(parameter.grad for parameter in head.parameters())])
    for fast, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-3, atol=2e-4)


@every_head
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 9999))
def test_an_untrained_distance_or_weighted_head_puts_the_nearer_first(kind, distance, seed):
    if kind == "fusion":
        pytest.skip("the fusion head starts from random weights")
    generator = torch.Generator().manual_seed(seed)
    query = embeddings("sphere", 1, 32, generator)
    direction = torch.randn(1, 32, generator=generator)
    others = unit_vectors(query + torch.tensor([[0.0], [0.1], [0.3], [1.0]]) * direction)
    head = build_head(kind, distance, 32)
    logits = head.pairwise(query, others).detach()
    assert (logits.diff() < 0).all()
    similarity = head.similarity(logits).detach()
    assert float(similarity[0, 0]) == pytest.approx(1, abs=1e-4)
    assert (similarity.diff() < 0).all()
    assert float(similarity.min()) >= -1 - 1e-4
