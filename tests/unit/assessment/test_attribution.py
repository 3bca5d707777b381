import numpy as np
import pytest
import torch

from tests.unit.assessment.planted import PLACES, SIDE, planted_model, strokes
from twinfolio.assessment import attribution
from twinfolio.assessment.attribution import (
    EXACT,
    GRADCAM,
    INTEGRATED,
    attribution_map,
    attribution_maps,
    available_kinds,
    cell_of_pixels,
    emptied,
    pixels_to_places,
)
from twinfolio.errors import ModelError
from twinfolio.models.bundle import Model

HALF = PLACES // 2


def logit(model, image, other):
    x, y = model.embed_uint8(np.stack([image, other]))
    return float(model.paired_scores(x[None], y[None])[0])


@pytest.mark.parametrize("kind", ["distance", "weighted", "fusion"])
@pytest.mark.parametrize("distance", ["l1", "l2", "cosine"])
def test_integrated_gradients_add_up_to_what_the_writing_is_worth(kind, distance):
    model, image, other = planted_model(kind, distance), strokes(1), strokes(2)
    expected = logit(model, image, other) - logit(model, emptied(image), other)
    got = attribution_map(model, INTEGRATED, image, other)
    assert got.shape == (PLACES, PLACES)
    assert abs(expected) > 1e-3
    # an absolute value has a kink, where a quadrature over smooth steps is less exact
    assert float(got.sum()) == pytest.approx(expected, rel=0.05 if distance == "l1" or kind == "fusion" else 5e-3)


def test_more_points_bring_integrated_gradients_nearer_to_completeness(monkeypatch):
    model, image, other = planted_model("distance", "l2"), strokes(1), strokes(2)
    expected = logit(model, image, other) - logit(model, emptied(image), other)
    gaps = []
    for steps in (2, 64):
        score = attribution._Score(model.embedder, model.head, torch.from_numpy(model.embed_uint8(other[None])))
        gaps.append(abs(float(attribution._integrated(score, model.device, image, steps).sum()) - expected))
    assert gaps[1] < 0.1 * gaps[0]


def test_the_exact_split_is_the_cosine_on_both_images():
    model, image, other = planted_model(), strokes(1), strokes(2)
    x, y = model.embed_uint8(np.stack([image, other]))
    for part in attribution_maps(model, EXACT, image, other):
        assert float(part.sum()) == pytest.approx(float(x @ y), abs=1e-5)


def test_grad_cam_is_the_mean_gradient_times_the_activation():
    """Selvaraju et al. 2017, Eq. 1 and 2, by hand."""
    model, image, other = planted_model("fusion", "l2"), strokes(1), strokes(2)
    pixels = torch.from_numpy(np.stack([image, other])).permute(0, 3, 1, 2).float() / 255
    features = model.embedder.features(pixels[:1]).requires_grad_(True)
    y = model.embedder(pixels[1:])
    model.head.paired(model.embedder.embed_features(features), y).backward()
    weights = features.grad.mean((2, 3), keepdim=True)
    expected = (weights * features).sum(1)[0].detach().numpy()
    np.testing.assert_allclose(attribution_map(model, GRADCAM, image, other), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [EXACT, GRADCAM, INTEGRATED])
def test_places_that_the_model_does_not_see_get_nothing(kind):
    for part in attribution_maps(planted_model(), kind, strokes(1), strokes(2)):
        seen = np.abs(part[:HALF, :HALF]).sum()
        assert seen > 0
        assert np.abs(part).sum() == pytest.approx(seen, rel=1e-5)


def test_only_linear_scores_of_average_pooled_models_have_an_exact_split():
    assert available_kinds(planted_model("weighted", "l2")) == (EXACT, GRADCAM, INTEGRATED)
    fusion, both = planted_model("fusion"), planted_model(pooling="avgmax")
    assert available_kinds(fusion) == available_kinds(both) == (GRADCAM, INTEGRATED)
    with pytest.raises(ModelError, match=r"no map of kind 'exact split'.*Grad-CAM, integrated gradients"):
        attribution_map(fusion, EXACT, strokes(1), strokes(2))
    for kind in available_kinds(both):
        assert np.isfinite(attribution_map(both, kind, strokes(1), strokes(2))).all()


def test_a_classifier_has_no_pairs_to_explain():
    model = planted_model()
    with pytest.raises(ModelError, match="has no head"):
        attribution_map(Model(model.embedder, None, None, {}, model.device), GRADCAM, strokes(1), strokes(2))


def test_the_model_is_left_as_it_was():
    model, image, other = planted_model(), strokes(1), strokes(2)
    before = model.embed_uint8(image[None])
    for kind in available_kinds(model):
        attribution_maps(model, kind, image, other)
    assert all(parameter.grad is None for parameter in model.embedder.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.embedder.modules())
    np.testing.assert_array_equal(model.embed_uint8(image[None]), before)


def test_emptying_takes_the_strokes_and_leaves_the_paper():
    image = strokes(1)
    blank = emptied(image)
    assert blank.shape == image.shape
    assert blank.std() < image.std() / 3
    assert blank.mean() == pytest.approx(image.mean(), abs=4)
    grey = emptied(image[..., :1])
    assert grey.shape == (SIDE, SIDE, 1)


@pytest.mark.parametrize(("size", "places"), [((64, 64), (8, 8)), ((10, 7), (3, 2)), ((5, 5), (5, 5))])
def test_every_pixel_lies_in_one_place_and_sums_stay(size, places):
    values = np.random.default_rng(0).normal(size=size)
    rows, columns = cell_of_pixels(size, places)
    slow = np.zeros(places)
    for i in range(size[0]):
        for j in range(size[1]):
            slow[rows[i, 0], columns[0, j]] += values[i, j]
    np.testing.assert_allclose(pixels_to_places(values, places), slow)
    for cells, n in zip((rows.ravel(), columns.ravel()), places, strict=True):
        counts = np.bincount(cells, minlength=n)
        assert (np.diff(cells) >= 0).all()
        assert counts.max() - counts.min() <= 1
