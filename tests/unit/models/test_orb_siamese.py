import pytest
import torch

from twinfolio.models.orb_siamese import OrbSiamese


@pytest.mark.parametrize(("key_points", "parameters"), [(10, 261_662), (50, 1_285_662)])
def test_the_twin_has_the_parameters_of_the_paper(key_points, parameters):
    assert sum(parameter.numel() for parameter in OrbSiamese(key_points).parameters()) == parameters


@pytest.fixture
def twin():
    torch.manual_seed(0)
    return OrbSiamese(2).eval()


def test_scores_are_symmetric_and_pairwise_equals_paired(twin):
    a, b = (torch.rand(5, 512).round() for _ in range(2))
    x, y = twin.embed(a), twin.embed(b)
    torch.testing.assert_close(twin(a, b), twin(b, a))
    torch.testing.assert_close(twin.pairwise(x, y).diagonal(), twin.paired(x, y))
    assert (twin.pairwise(x, x).argmax(1) == torch.arange(5)).all()


def test_equal_images_have_a_gradient(twin):
    bits = torch.rand(3, 512).round()
    twin(bits, bits).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in twin.parameters())


def test_the_penalty_is_on_the_first_two_kernels_alone(twin):
    twin.penalty().backward()
    moved = {name for name, parameter in twin.named_parameters() if parameter.grad is not None}
    assert moved == {"tower.0.weight", "tower.2.weight"}
    torch.testing.assert_close(twin.tower[2].weight.grad, 2e-3 * twin.tower[2].weight)


def test_it_sees_the_first_key_points_of_an_image_of_bits(twin):
    bits = torch.rand(3, 1, 5, 256).round()
    torch.testing.assert_close(twin.embed(bits), twin.embed(bits[:, 0, :2].flatten(1)))
