from __future__ import annotations

import pytest
import torch

from twinfolio.errors import ModelError
from twinfolio.models.distances import unit_vectors
from twinfolio.models.heads import build_head
from twinfolio.models.losses import (
    bce_paired,
    calibration_loss,
    contrastive_paired,
    pair_loss,
    pair_masks,
    paired_calibration_loss,
    paired_loss,
    supcon,
)


def points(n: int, dim: int = 8) -> torch.Tensor:
    return unit_vectors(torch.randn(n, dim, generator=torch.Generator().manual_seed(1)))


def test_pairs_leave_out_a_row_and_itself_and_copies_of_one_image():
    masks = pair_masks(torch.tensor([0, 0, 0, 1]), torch.tensor([5, 5, 6, 7]))
    assert masks.positive.tolist() == [[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert masks.negative.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 0]]


def test_supcon_of_the_cosine_head_is_the_librarys_with_its_own_cosine():
    from pytorch_metric_learning.losses import SupConLoss

    x, labels = points(9), torch.arange(9) // 3
    head = build_head("distance", "cosine", 8)
    similarity = head.similarity(head.pairwise(x, x))
    expected = SupConLoss(temperature=0.1)(x, labels)
    torch.testing.assert_close(supcon(similarity, pair_masks(labels), 0.1), expected, rtol=1e-4, atol=1e-5)


def test_supcon_of_l2_is_the_librarys_with_its_own_distance():
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import SupConLoss

    x, labels = points(9), torch.arange(9) // 3
    head = build_head("distance", "l2", 8)
    similarity = head.similarity(head.pairwise(x, x))
    expected = SupConLoss(temperature=0.1, distance=LpDistance())(x, labels)
    torch.testing.assert_close(supcon(similarity, pair_masks(labels), 0.1), expected, rtol=1e-4, atol=1e-4)


def test_a_batch_without_positives_costs_nothing_under_supcon_and_has_a_gradient():
    x = points(4).requires_grad_()
    similarity = x @ x.T
    loss = supcon(similarity, pair_masks(torch.arange(4)), 0.1)
    loss.backward()
    assert loss.item() == 0


def test_pairs_weigh_by_their_anchors_class_at_mean_one():
    logits, same = torch.tensor([2.0, -1.0]), torch.tensor([True, False])
    costs = torch.nn.functional.softplus(torch.tensor([-2.0, -1.0]))
    torch.testing.assert_close(bce_paired(logits, same), costs.mean())
    torch.testing.assert_close(bce_paired(logits, same, torch.tensor([3.0, 1.0])), (3 * costs[0] + costs[1]) / 4)


def test_the_contrastive_cost_is_half_the_square_of_distance_or_of_what_lacks_to_the_margin():
    similarity = torch.tensor([0.8, 0.8, 0.4])
    costs = [0.5 * 0.2**2, 0.5 * 0.3**2, 0.0]
    for index, same in enumerate([True, False, False]):
        cost = contrastive_paired(similarity[index : index + 1], torch.tensor([same]), margin=0.5)
        assert float(cost) == pytest.approx(costs[index], abs=1e-6)


def test_calibration_moves_the_heads_offset_and_no_embedding():
    x, labels = points(8).requires_grad_(), torch.arange(8) // 2
    same = torch.tensor([1.0, 0.0, 1.0, 0.0])
    for offset in (-3.0, 3.0):
        for loss in (
            lambda head: calibration_loss(head, x, labels),
            lambda head: paired_calibration_loss(head, x[:4], x[4:], same),
        ):
            head = build_head("distance", "l2", 8)
            with torch.no_grad():
                head.offset.fill_(offset)
            loss(head).backward()
            assert abs(float(head.offset.grad)) > 0.01
            assert x.grad is None


@pytest.mark.parametrize("name", ["supcon", "contrastive", "multi_similarity"])
def test_other_losses_leave_a_distance_heads_offset_alone(name):
    head, x = build_head("distance", "l2", 8), points(8).requires_grad_()
    pair_loss(name, head, x, torch.arange(8) // 2).backward()
    assert float(head.offset.grad) == pytest.approx(0.0, abs=1e-5)
    assert x.grad.abs().sum() > 0


def test_losses_are_computed_in_float32_under_autocast():
    x, labels = points(8, 256), torch.arange(8) // 2
    head = build_head("distance", "cosine", 256)
    plain = pair_loss("supcon", head, x, labels)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(pair_loss("supcon", head, x, labels), plain)


@pytest.mark.parametrize("name", ["bce", "contrastive"])
def test_single_pairs_give_gradients_to_embeddings_and_head(name):
    x, y = points(4).requires_grad_(), points(4).flip(0).requires_grad_()
    head = build_head("weighted", "l1", 8)
    paired_loss(name, head, x, y, torch.tensor([1, 0, 1, 0])).backward()
    assert x.grad.abs().sum() > 0
    assert head.weight.grad.abs().sum() > 0


def test_losses_that_need_all_pairs_refuse_single_ones():
    with pytest.raises(ModelError, match="needs all pairs"):
        paired_loss("supcon", build_head("distance", "l1", 8), points(2), points(2), torch.ones(2))
    with pytest.raises(ModelError, match="'triplet' is unknown"):
        pair_loss("triplet", build_head("distance", "l1", 8), points(4), torch.arange(4) // 2)
