import torch
from torch import nn

from twinfolio.models.trunks import create_trunk
from twinfolio.models.trunks.residual import BasicBlock


def test_every_pooling_halves_and_every_block_widens():
    trunk, info = create_trunk("small_resnet", "none", 1, {"depth": 3, "kernels": 8, "growth": 2})
    assert trunk.forward_features(torch.rand(2, 1, 32, 32)).shape == (2, 32, 4, 4)
    assert (info.features, info.pretrained) == (32, False)
    assert sum(isinstance(layer, BasicBlock) for layer in trunk.features) == 2


def test_a_block_whose_convolutions_are_silent_is_its_shortcut():
    block = BasicBlock(4, 4).eval()
    nn.init.zeros_(block.residual[-1].weight)
    x = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(block(x), x)
    assert not list(block.shortcut.parameters())
    assert BasicBlock(4, 8)(x).shape == (2, 8, 6, 6)
