from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from twinfolio.errors import ModelError
from twinfolio.models.embedder import build_class_layer, build_classifier, build_siamese, pool, start_from
from twinfolio.models.heads import build_head


def parameters(*parts: torch.nn.Module) -> int:
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def scratch(**changes):
    settings = {"weights": "none", "head": "weighted", "distance": "l1", "pooling": "flatten", "normalise": False}
    return build_siamese("khayyat_scratch", **{**settings, "size": (150, 100), "activation": "sigmoid", **changes})


@pytest.mark.parametrize("distance", ["l1", "l2", "cosine"])
def test_the_papers_scratch_siamese_has_875_649_parameters(distance):
    embedder, head = scratch(distance=distance)
    assert parameters(embedder.projection) == 459_008
    assert parameters(head) == 257
    assert parameters(embedder, head) == 875_649


def test_the_papers_vgg19_siamese_has_20_229_485_parameters_with_each_distance():
    embedder, head = build_siamese(
        "vgg19", weights="none", head="fusion", distance="cosine", pooling="avgmax", embedding=None, normalise=False
    )
    assert parameters(embedder.trunk) == 20_024_384
    for each in (head, build_head("fusion", "l1", embedder.dim), build_head("fusion", "l2", embedder.dim)):
        assert parameters(each) == 205_101
        assert parameters(embedder, each) == 20_229_485


def test_scratch_embeddings_are_sigmoids_and_images_of_any_size_are_resized():
    embedder, _ = scratch()
    embeddings = embedder(torch.rand(2, 3, 40, 60))
    assert embeddings.shape == (2, 256)
    assert ((embeddings > 0) & (embeddings < 1)).all()


def test_poolings_are_the_mean_the_maximum_and_maximum_before_mean():
    features = torch.rand(2, 3, 4, 5)
    mean, largest = F.adaptive_avg_pool2d(features, 1).flatten(1), F.adaptive_max_pool2d(features, 1).flatten(1)
    torch.testing.assert_close(pool(features, "avg"), mean)
    torch.testing.assert_close(pool(features, "max"), largest)
    torch.testing.assert_close(pool(features, "avgmax"), torch.cat([largest, mean], dim=1))
    assert pool(features, "flatten").shape == (2, 60)


def test_images_are_normalised_inside_by_the_trunks_mean_and_std():
    embedder, _ = build_siamese(
        "khayyat_scratch", weights="none", head="distance", distance="l2", pooling="avg", embedding=None
    )
    images = torch.rand(2, 3, 48, 48)
    expected = F.normalize(embedder.trunk.forward_features((images - 0.5) / 0.5).mean((2, 3)))
    torch.testing.assert_close(embedder(images), expected, rtol=1e-4, atol=1e-6)


def test_embeddings_are_float32_on_the_unit_sphere_under_autocast_too():
    embedder, head = build_siamese("khayyat_scratch", weights="none", head="distance", distance="l2", embedding=8)
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = embedder(torch.rand(3, 3, 48, 48))
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    assert (embedder.dim, head.dim) == (8, 8)


def test_the_class_layer_of_unit_embeddings_has_a_gain():
    embedder, layer = build_classifier("khayyat_scratch", weights="none", classes=5)
    assert (layer.gain, layer.in_features, embedder.dim, embedder.normalise) == (1.0, 64, 64, False)
    siamese, _ = build_siamese("khayyat_scratch", weights="none", head="distance", distance="l1", embedding=8)
    layer = build_class_layer(siamese, 5)
    points = torch.rand(2, 8)
    torch.testing.assert_close(layer(points), 16 * points @ layer.weight.T + layer.bias)


def test_a_siamese_model_starts_from_the_classifiers_trunk():
    classifier, _ = build_classifier("khayyat_scratch", weights="none", classes=5)
    siamese, _ = build_siamese("khayyat_scratch", weights="none", head="distance", distance="l1", embedding=8)
    start_from(siamese, classifier)
    assert torch.equal(siamese.trunk.features[0].weight, classifier.trunk.features[0].weight)
    assert siamese.trunk.features[0].weight is not classifier.trunk.features[0].weight
    other, _ = build_classifier("khayyat_scratch", weights="none", classes=5, channels=1)
    with pytest.raises(ModelError, match="not the classifier's"):
        start_from(siamese, other)


def test_wrong_poolings_are_named():
    with pytest.raises(ModelError, match="needs a fixed image size"):
        scratch(size=None)
    with pytest.raises(ModelError, match="'gem' is unknown"):
        scratch(pooling="gem")
