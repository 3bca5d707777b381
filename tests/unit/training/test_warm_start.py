import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from twinfolio.models.embedder import ClassLayer
from twinfolio.training.warm_start import start_from_axes, start_from_class_means


def clusters(n=20, classes=4, dim=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn(classes, dim, generator=generator) + 5  # far from the origin, as ReLU features are
    labels = np.repeat(np.arange(classes), n)
    return F.normalize(centres[labels] + torch.randn(classes * n, dim, generator=generator), dim=1), labels


def test_a_class_layer_begins_as_the_nearest_class_mean():
    features, labels = clusters()
    layer = ClassLayer(12, 4, gain=16.0)
    start_from_class_means(layer, features, labels)
    assert (layer(features).argmax(1).numpy() == labels).mean() > 0.95


def test_a_class_without_images_keeps_its_random_weight():
    features, labels = clusters()
    layer = ClassLayer(12, 6, gain=16.0)
    before = layer.weight.detach().clone()
    start_from_class_means(layer, features, labels)
    torch.testing.assert_close(layer.weight[4:], before[4:])
    assert not torch.allclose(layer.weight[:4], before[:4])


@pytest.mark.parametrize("n", [40, 3])
def test_a_projection_begins_as_axes_that_keep_cosines(n):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 5, generator=generator) @ torch.randn(5, 32, generator=generator)  # of rank 5
    projection = nn.Linear(32, 8)
    axes = start_from_axes(projection, features)
    torch.testing.assert_close(axes @ axes.T, torch.eye(8), atol=1e-5, rtol=0)
    before, after = F.normalize(features, dim=1), F.normalize(projection(features), dim=1)
    torch.testing.assert_close(after @ after.T, before @ before.T, atol=1e-4, rtol=0)


def test_a_projection_wider_than_its_input_stays_as_it_was():
    projection = nn.Linear(4, 8)
    before = projection.weight.detach().clone()
    start_from_axes(projection, torch.randn(10, 4))
    torch.testing.assert_close(projection.weight, before)
