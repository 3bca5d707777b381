import numpy as np
import pytest

from twinfolio.sample.planted import KINDS, plant


def page(height=60, width=48, channels=3, seed=0):
    """Dark strokes on paper, with a little grain."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, channels), 200.0)
    for row, column in rng.integers(4, 40, (30, 2)):
        image[row : row + 2, column : column + 6] = 50
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def correlation(a, b):
    return np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_copy_has_the_shape_of_its_original_is_not_it_and_is_always_the_same(kind, channels):
    image = page(channels=channels)
    before, copy = image.copy(), plant(image, kind)
    assert (copy.shape, copy.dtype) == (image.shape, np.uint8)
    assert (copy != image).mean() > 0.1
    np.testing.assert_array_equal(plant(image, kind), copy)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("kind", ["resized", "recompressed", "faded"])
def test_what_moves_nothing_is_far_more_like_its_original_than_another_page_is(kind):
    image = page()
    assert correlation(plant(image, kind), image) > 0.9 > correlation(page(seed=1), image) + 0.3


def test_a_crop_shows_the_middle_enlarged():
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, :5], image[45:55, 45:55] = 90, 255
    copy = plant(image, "cropped")
    assert copy[:, :4].max() == 0
    assert (copy[..., 0] > 127).sum() > 11 * 11


def test_a_rotation_turns_by_three_degrees_against_the_clock():
    image = np.zeros((201, 201, 1), np.uint8)
    image[100] = 255
    row = plant(image, "rotated")[..., 0].argmax(axis=0)
    slope = np.polyfit(np.arange(201), row, 1)[0]
    assert np.degrees(np.arctan(-slope)) == pytest.approx(3, abs=0.1)


def test_fading_keeps_white_and_lifts_black():
    image = np.array([[[0, 100, 255]]], np.uint8)
    assert plant(image, "faded")[0, 0].tolist() == [102, 162, 255]


def test_recompressing_keeps_the_colours_apart():
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 0] = 220
    np.testing.assert_allclose(plant(image, "recompressed").reshape(-1, 3).mean(0), [220, 0, 0], atol=12)


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ValueError, match="resized, cropped"):
        plant(page(), "torn")
