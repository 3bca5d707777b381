"""The counts of systems 5.1 and 5.2."""

import pytest
import torch

from twinfolio.errors import ModelError
from twinfolio.models.trunks import create_trunk
from twinfolio.models.trunks.sircnn import ECA, eca_kernel


def learned(trunk):
    return sum(parameter.numel() for parameter in trunk.parameters())


def test_reading_b_has_the_papers_counts():
    trunk, _ = create_trunk("sircnn", "none", 1)
    statistics = [values for name, values in trunk.named_buffers() if not name.endswith("num_batches_tracked")]
    assert (learned(trunk), sum(values.numel() for values in statistics)) == (1_562_496, 7_296)


def test_reading_d_has_textbook_attention():
    trunk, _ = create_trunk("sircnn", "none", 1, {"reading": "d"})
    assert learned(trunk) + 513 == 1_560_336  # with a linear unit on the mean of the last map
    assert [stage.attention.weight.shape for stage in trunk.features[1:]] == [(1, 5)] * 3


def test_maps_shrink_as_in_table_1():
    trunk, _ = create_trunk("sircnn", "none", 1)
    sides, x = [], torch.rand(2, 1, 105, 105)
    for part in trunk.features:
        x = part(x)
        sides.append(x.shape[-1])
    assert sides == [53, 27, 14, 7]
    assert x.shape == (2, 512, 7, 7)


def test_an_unknown_reading_is_refused():
    with pytest.raises(ModelError, match="must be b or d"):
        create_trunk("sircnn", "none", 1, {"reading": "a"})


@pytest.mark.parametrize(("channels", "kernel"), [(128, 5), (256, 5), (512, 5), (8, 3), (2048, 7)])
def test_the_kernel_follows_the_channels(channels, kernel):
    assert eca_kernel(channels) == kernel


@pytest.mark.parametrize("shared", [True, False])
def test_attention_is_a_gate_from_the_means_of_neighbouring_channels(shared):
    torch.manual_seed(0)
    attention, x = ECA(8, shared), torch.rand(2, 8, 3, 3)
    means = torch.nn.functional.pad(x.mean((2, 3)), (1, 1))
    weight = attention.weight.expand(8, 3)
    gates = torch.stack([(means[:, c : c + 3] * weight[c]).sum(1) for c in range(8)], dim=1).sigmoid()
    torch.testing.assert_close(attention(x), x * gates[:, :, None, None])
