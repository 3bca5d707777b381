from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinfolio.models.distances import DISTANCES, unit_vectors
from twinfolio.models.heads import HEADS, build_head
from twinfolio.models.losses import (
    LOSSES,
    bce,
    calibration_loss,
    contrastive,
    multi_similarity,
    pair_loss,
    pair_masks,
    supcon,
)


def batch(seed: int, size: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Similarities, labels and sources, with copies of one image among the rows."""
    generator = torch.Generator().manual_seed(seed)
    sources = torch.randint(0, size - 2, (size,), generator=generator)
    labels = sources % 3
    points = unit_vectors(torch.randn(size, 6, generator=generator))
    return points @ points.T, labels, sources


def by_hand(similarity, labels, sources, positive_cost, negative_cost) -> float:
    """Half the mean cost of positive pairs plus half the mean cost of negative ones, in plain Python."""
    costs: dict[bool, list[float]] = {True: [], False: []}
    for i in range(len(labels)):
        for j in range(len(labels)):
            if sources[i] != sources[j]:
                same = bool(labels[i] == labels[j])
                costs[same].append((positive_cost if same else negative_cost)(float(similarity[i, j])))
    return sum(0.5 * sum(values) / len(values) for values in costs.values() if values)


def supcon_by_hand(similarity, labels, sources, temperature: float) -> float:
    rows = []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if sources[j] != sources[i]]
        positives = [j for j in others if labels[j] == labels[i]]
        if positives:
            total = math.log(sum(math.exp(float(similarity[i, j]) / temperature) for j in others))
            rows.append(sum(total - float(similarity[i, j]) / temperature for j in positives) / len(positives))
    return sum(rows) / len(rows) if rows else 0.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999))
def test_losses_of_pairs_equal_their_definitions(seed):
    similarity, labels, sources = batch(seed)
    masks = pair_masks(labels, sources)
    expected = by_hand(
        similarity, labels, sources, lambda s: math.log1p(math.exp(-s)), lambda s: math.log1p(math.exp(s))
    )
    assert float(bce(similarity, masks)) == pytest.approx(expected, rel=1e-4)
    margin = 0.7
    pulled_and_pushed = by_hand(
        similarity, labels, sources, lambda s: (1 - s) ** 2 / 2, lambda s: max(margin - (1 - s), 0) ** 2 / 2
    )
    assert float(contrastive(similarity, masks, margin)) == pytest.approx(pulled_and_pushed, rel=1e-4, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999))
def test_supcon_equals_its_definition_where_there_are_both_kinds_of_pairs(seed):
    similarity, labels, sources = batch(seed)
    masks = pair_masks(labels, sources)
    if not (masks.positive.any() and masks.negative.any()):
        assert float(supcon(similarity, masks, 0.2)) == 0
        return
    expected = supcon_by_hand(similarity, labels, sources, 0.2)
    assert float(supcon(similarity, masks, 0.2)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 9999))
@example(seed=3307)
def test_no_loss_looks_at_a_row_and_itself_or_at_two_copies_of_one_image(seed):
    similarity, labels, sources = batch(seed)
    similarity, masks = (
        similarity.double(),
        pair_masks(labels, sources),
    )  # beside 1e3 floats lose small losses
    spoilt = torch.where(sources[:, None] == sources, 1e3, similarity)
    for loss in (bce, multi_similarity, lambda s, m: supcon(s, m, 0.1), lambda s, m: contrastive(s, m, 0.5)):
        torch.testing.assert_close(loss(spoilt, masks), loss(similarity, masks), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("kind", "distance"), [(kind, distance) for kind in HEADS for distance in DISTANCES])
def test_every_loss_with_every_head_moves_every_parameter_and_embedding_by_a_finite_step(name, kind, distance):
    generator = torch.Generator().manual_seed(3)
    points = unit_vectors(torch.randn(8, 12, generator=generator))
    points[1] = points[0]  # equal embeddings: where the root of L2 has no gradient of its own
    points.requires_grad_()
    head = build_head(kind, distance, 12)
    labels = torch.arange(8) // 2
    loss = pair_loss(name, head, points, labels) + calibration_loss(head, points, labels)
    loss.backward()
    assert torch.isfinite(loss)
    assert points.grad.abs().sum() > 0
    for tensor in (points, *head.parameters()):
        assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_every_loss_falls_below_its_start_when_embeddings_follow_its_gradient(name, distance):
    points = torch.randn(12, 16, generator=torch.Generator().manual_seed(5)).requires_grad_()
    labels = torch.arange(12) // 3
    head = build_head("distance", distance, 16)
    optimiser = torch.optim.Adam([points, *head.parameters()], lr=0.05)
    history = []
    for _ in range(40):
        z = unit_vectors(points)
        loss = pair_loss(name, head, z, labels) + calibration_loss(head, z, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert history[-1] < 0.6 * history[0]
    logits, masks = head.pairwise(unit_vectors(points), unit_vectors(points)), pair_masks(labels)
    assert logits[masks.positive].min() > logits[masks.negative].max()
