"""ORB, RootSIFT and SURF against OpenCV and mahotas called directly."""

import cv2
import numpy as np
import pytest
from mahotas.features import surf as mahotas

from twinfolio.descriptors.greys import to_grey
from twinfolio.descriptors.local import LOCAL, WIDTHS, Extractor
from twinfolio.descriptors.orb import orb
from twinfolio.descriptors.sift import root, rootsift
from twinfolio.descriptors.surf import surf


@pytest.fixture(scope="module")
def grey(scenes):
    return to_grey(scenes[0])


def test_grey_is_opencvs_and_enlarged_by_cubic_interpolation(scenes):
    expected = cv2.cvtColor(scenes[0], cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(to_grey(scenes[0]), expected)
    np.testing.assert_array_equal(to_grey(expected[..., None]), expected)
    assert to_grey(scenes[0], 3.0).shape == (480, 600)
    for bad in (scenes[0].astype(float), scenes[0][..., :2], expected):
        with pytest.raises(ValueError, match="an image must be uint8"):
            to_grey(bad)


def test_orb_is_opencvs_bit_by_bit(grey):
    points, bits = orb(grey, 100)
    expected_points, expected = cv2.ORB_create(nfeatures=100).detectAndCompute(grey, None)
    by_place = {point.pt: row for point, row in zip(expected_points, expected, strict=True)}
    assert 50 < len(points) <= 100
    packed = np.packbits(bits.astype(np.uint8), axis=1)
    assert sum(
        (row == by_place[tuple(map(float, place))]).all() for place, row in zip(points, packed, strict=True)
    ) >= (
        0.95 * len(points)  # two key points may share a place at different scales
    )


def test_key_points_come_strongest_first(grey):
    responses = {point.pt: point.response for point in cv2.SIFT_create(nfeatures=60).detectAndCompute(grey, None)[0]}
    found = [responses[tuple(map(float, place))] for place in rootsift(grey, 60)[0]]
    assert np.mean(np.diff(found) <= 0) > 0.9


def test_rootsift_is_the_root_of_sifts_shares(grey):
    _, found = rootsift(grey, 60)
    _, sift = cv2.SIFT_create(nfeatures=60).detectAndCompute(grey, None)
    shares = sift / sift.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.sort(found.sum(1)), np.sort(np.sqrt(shares).sum(1)), rtol=1e-5)
    np.testing.assert_allclose(root(sift) @ root(sift).T, np.sqrt(shares) @ np.sqrt(shares).T, atol=1e-5)


def test_surf_is_mahotas(grey):
    points, found = surf(grey, 50)
    expected = mahotas.surf(grey, max_points=50)
    assert len(found) == len(expected) > 10
    expected = expected[np.argsort(-expected[:, 3], kind="stable")]
    np.testing.assert_allclose(found, expected[:, 6:], rtol=1e-6)
    np.testing.assert_allclose(points, expected[:, [1, 0]], rtol=1e-6)


@pytest.mark.parametrize("kind", LOCAL)
def test_a_blank_image_has_no_key_point_and_a_tiny_one_is_no_error(kind):
    for image in (np.full((160, 200, 3), 255, np.uint8), np.zeros((9, 9, 1), np.uint8)):
        assert Extractor(kind)(image).shape == (0, 2 + WIDTHS[kind])


@pytest.mark.parametrize("kind", LOCAL)
def test_places_count_in_the_images_own_pixels_after_it_is_enlarged(kind, scenes):
    points = Extractor(kind, enlarge=3.0)(scenes[0])[:, :2]
    assert len(points) > 20
    assert points[:, 0].max() <= 200
    assert points[:, 1].max() <= 160
    assert points[:, 0].max() > 150  # x, not y
