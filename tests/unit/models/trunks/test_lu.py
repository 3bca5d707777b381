"""The counts of systems 2.4: Lu's nine cells under three heads, and the fully connected twin."""

import pytest
import torch

from twinfolio.models.embedder import build_classifier, build_siamese
from twinfolio.models.trunks import create_trunk

# depth, kernels: features, fc2, full 1024/1024/2, cls10, fc2 without batch norm
CELLS = {
    (1, 8): (1568, 3_234, 2_658_402, 15_786, 3_218),
    (1, 16): (3136, 6_466, 4_264_130, 31_562, 6_434),
    (1, 32): (6272, 12_930, 7_475_586, 63_114, 12_866),
    (2, 8): (392, 1_482, 1_454_778, 4_626, 1_450),
    (2, 16): (784, 4_114, 1_858_034, 10_394, 4_050),
    (2, 32): (1568, 12_834, 2_668_002, 25_386, 12_706),
    (3, 8): (72, 1_442, 1_127_698, 2_026, 1_394),
    (3, 16): (144, 5_186, 1_205_026, 6_346, 5_090),
    (3, 32): (288, 19_586, 1_366_594, 21_898, 19_394),
}


def count(*parts):
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def twin(trunk="lu_conv", **changes):
    settings = {"weights": "none", "head": "distance", "distance": "l2", "pooling": "flatten", "embedding": 2}
    settings |= {"normalise": False, "channels": 1, "size": (28, 28)}
    return build_siamese(trunk, **settings | changes)[0]


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_has_the_counts_of_the_specification(cell):
    options = dict(zip(("depth", "kernels"), cell, strict=True))
    features, fc2, full, cls10, bare = CELLS[cell]
    classifier = build_classifier(
        "lu_conv", weights="none", classes=10, options=options, pooling="flatten", channels=1, size=(28, 28)
    )
    assert classifier[0].dim == features
    assert count(*classifier) == cls10
    assert count(twin(options=options)) == fc2
    assert count(twin(options=options, hidden=(1024, 1024))) == full
    assert count(twin(options=options | {"norm": False})) == bare


def test_the_fully_connected_twin_has_1855490_parameters():
    assert count(twin("lu_pixels", hidden=(1024, 1024))) == 1_855_490


def test_kernels_may_grow_from_block_to_block():
    trunk, info = create_trunk("lu_conv", "none", 1, {"depth": 4, "kernels": 8, "growth": 2})
    assert trunk.forward_features(torch.rand(2, 1, 40, 40)).shape == (2, 64, 2, 2)
    assert info.features == 64
    pairs = [(1, 8), (8, 16), (16, 32), (32, 64)]
    assert count(trunk) == sum(9 * before * width + 3 * width for before, width in pairs)


def test_pixels_pass_unchanged_and_images_are_not_normalised():
    images = torch.rand(2, 1, 28, 28)
    embedder = twin("lu_pixels", embedding=None)
    torch.testing.assert_close(embedder(images), images.flatten(1))
    trunk, info = create_trunk("lu_conv", "none", 1, {"depth": 2, "kernels": 8})
    assert trunk.forward_features(images).shape == (2, 8, 7, 7)
    assert (info.mean, info.std, info.options) == ((0.0,), (1.0,), {"depth": 2, "kernels": 8})
