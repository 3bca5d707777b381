from __future__ import annotations

import pytest
import torch

from twinfolio.errors import ModelError
from twinfolio.models import heads
from twinfolio.models.distances import paired_distance
from twinfolio.models.heads import build_head


def test_weights_start_at_minus_one_on_differences_and_one_on_products():
    for distance, start in (("l1", -1), ("l2", -1), ("cosine", 1)):
        assert (build_head("weighted", distance, 4).weight == start).all()


def test_the_distance_heads_scale_is_positive_whatever_is_learned():
    head = build_head("distance", "l1", 4)
    with torch.no_grad():
        head.log_scale.fill_(-9.0)
    x = torch.tensor([[0.0, 0, 0, 0]])
    assert head.paired(x, x + 1e6) < head.paired(x, x)


def test_the_fusion_head_is_the_papers_table_2_in_both_orders():
    head = build_head("fusion", "l2", 6).eval()
    x, y = torch.rand(3, 6), torch.rand(3, 6)
    scalar = (x - y).square().sum(1, keepdim=True).sqrt() / 6**0.5
    logits = [
        head.out(torch.relu(head.hidden(torch.cat([scalar, a * a - b * b, (a - b) ** 2], dim=1))))
        for a, b in ((x, y), (y, x))
    ]
    torch.testing.assert_close(head.paired(x, y), (logits[0] + logits[1])[:, 0] / 2)


def test_the_fusion_heads_scalar_is_the_cosine_or_a_distance_divided_by_what_grows_with_d():
    x, y = torch.rand(3, 6), torch.rand(3, 6)
    for distance, expected in (
        ("cosine", torch.cosine_similarity(x, y)),
        ("l1", (x - y).abs().sum(1) / 6),
        ("l2", (x - y).norm(dim=1) / 6**0.5),
    ):
        head = build_head("fusion", distance, 6)
        torch.testing.assert_close(head._lambda(paired_distance(distance, x, y)), expected)


def test_blocks_of_the_fusion_head_give_what_one_block_gives(monkeypatch):
    head = build_head("fusion", "l1", 6).eval()
    x, y = torch.rand(7, 6), torch.rand(5, 6)
    with torch.no_grad():
        whole = head.pairwise(x, y)
        monkeypatch.setattr(heads, "BLOCK_ELEMENTS", 2 * 5 * 100)
        torch.testing.assert_close(head.pairwise(x, y), whole)


def test_dropout_is_for_training_alone():
    head = build_head("fusion", "l1", 6)
    head.dropout.p = 0.5
    x, y = torch.rand(4, 6), torch.rand(4, 6)
    assert not torch.equal(head.paired(x, y), head.paired(x, y))
    head.eval()
    assert torch.equal(head.paired(x, y), head.paired(x, y))


def test_unknown_heads_and_distances_name_the_known():
    with pytest.raises(ModelError, match="distance, weighted, fusion"):
        build_head("bilinear", "l1", 4)
    with pytest.raises(ModelError, match="l1, l2, cosine"):
        build_head("distance", "l3", 4)
