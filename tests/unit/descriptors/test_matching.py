import cv2
import numpy as np
import pytest

from twinfolio.descriptors.local import Extractor
from twinfolio.descriptors.matching import Matching, agreeing, count_matches, match


@pytest.fixture(scope="module")
def pair(scenes):
    """Key points of a scene, of the same scene turned a little and enlarged, and of another scene."""
    turn = cv2.getRotationMatrix2D((100, 80), 12, 1.1)
    turned = cv2.warpAffine(scenes[0], turn, (200, 160), borderValue=(200, 200, 200))
    return [Extractor("rootsift", 300)(image) for image in (scenes[0], turned, scenes[1])]


def test_matches_are_those_of_opencvs_matcher(pair):
    a, b = pair[0][:, 2:], pair[1][:, 2:]
    matcher = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True)
    expected = {(found.queryIdx, found.trainIdx) for found in matcher.match(a, b)}
    assert {tuple(row) for row in match(a, b, Matching(ratio=1.0)).tolist()} == expected
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a, b, 2)
    tested = {(one.queryIdx, one.trainIdx) for one, two in nearest if one.distance < 0.75 * two.distance}
    assert {tuple(row) for row in match(a, b, Matching(mutual=False)).tolist()} == tested
    assert {tuple(row) for row in match(a, b, Matching()).tolist()} == tested & expected


def test_a_turned_scene_shares_more_than_another_one(pair):
    for how in (Matching(), Matching(reprojection=3.0)):
        turned, other, itself = (count_matches(pair[0], pair[at], how) for at in (1, 2, 0))
        assert itself > turned > 5 * other


def test_a_homography_keeps_matches_that_agree_and_drops_the_rest():
    rng = np.random.default_rng(0)
    a = rng.random((40, 2)).astype(np.float32) * 100
    b = a @ np.array([[0.9, 0.2], [-0.2, 0.9]], np.float32) + 5
    b[30:] = rng.random((10, 2)) * 100
    assert 30 <= agreeing(a, b, 2.0) <= 33
    assert agreeing(a, b, 2.0) == agreeing(a, b, 2.0)
    assert agreeing(a[:3], b[:3], 2.0) == 0


def test_images_without_key_points_share_nothing():
    some, none = np.random.default_rng(0).random((5, 10), np.float32), np.empty((0, 10), np.float32)
    for how in (Matching(), Matching(reprojection=3.0)):
        assert count_matches(some, none, how) == count_matches(none, some, how) == count_matches(none, none, how) == 0
