import pytest
import torch

from twinfolio.models.embedder import build_siamese
from twinfolio.models.trunks import create_trunk


def test_the_twin_has_the_38951745_parameters_of_the_paper():
    parts = build_siamese(
        "koch_conv", weights="none", head="weighted", distance="l1", pooling="flatten", embedding=4096,
        activation="sigmoid", normalise=False, channels=1, size=(105, 105),
    )  # fmt: skip
    learned = [parameter for part in parts[:2] for parameter in part.parameters()]
    assert sum(parameter.numel() for parameter in learned) == 38_951_745


def test_105_pixels_become_6_and_weights_start_as_in_section_3_3():
    torch.manual_seed(0)
    trunk, info = create_trunk("koch_conv", "none", 1)
    assert trunk.forward_features(torch.rand(2, 1, 105, 105)).shape == (2, 256, 6, 6)
    assert (info.features, info.input_size, info.pretrained) == (256, (105, 105), False)
    kernels = torch.cat([layer.weight.flatten() for layer in trunk.features if isinstance(layer, torch.nn.Conv2d)])
    biases = torch.cat([layer.bias for layer in trunk.features if isinstance(layer, torch.nn.Conv2d)])
    assert float(kernels.std()) == pytest.approx(0.01, abs=1e-4)
    assert float(kernels.mean()) == pytest.approx(0, abs=1e-4)
    assert float(biases.mean()) == pytest.approx(0.5, abs=2e-3)
