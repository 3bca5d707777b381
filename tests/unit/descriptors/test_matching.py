import cv2
import numpy as np
import pytest

from tests.unit.descriptors.conftest import features_of
from twinfolio.descriptors.local import Extractor, LocalFeatures
from twinfolio.descriptors.matching import Matching, agreeing, match, match_scores


@pytest.fixture(scope="module")
def pair(scenes):
    """Key points of a scene, of the same scene turned a little and enlarged, and of another scene."""
    turn = cv2.getRotationMatrix2D((100, 80), 12, 1.1)
    turned = cv2.warpAffine(scenes[0], turn, (200, 160), borderValue=(200, 200, 200))
    images = [Extractor("rootsift", 300)(image) for image in (scenes[0], turned, scenes[1])]
    return LocalFeatures.of(images, 128)


def test_matches_are_those_of_opencvs_matcher(pair):
    (_, a), (_, b) = pair.image(0), pair.image(1)
    matcher = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True)
    expected = {(found.queryIdx, found.trainIdx) for found in matcher.match(a, b)}
    assert {tuple(row) for row in match(a, b, Matching(ratio=1.0)).tolist()} == expected
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a, b, 2)
    tested = {(one.queryIdx, one.trainIdx) for one, two in nearest if one.distance < 0.75 * two.distance}
    assert {tuple(row) for row in match(a, b, Matching(mutual=False)).tolist()} == tested
    assert {tuple(row) for row in match(a, b, Matching()).tolist()} == tested & expected


def test_a_turned_scene_shares_more_than_another_one(pair):
    for how in (Matching(), Matching(reprojection=3.0)):
        scores = match_scores(pair, [0], pair, np.array([[1, 2, 0]]), how)[0]
        assert scores[2] > scores[0] > 5 * scores[1]


def test_a_homography_keeps_matches_that_agree_and_drops_the_rest():
    rng = np.random.default_rng(0)
    a = rng.random((40, 2)).astype(np.float32) * 100
    b = a @ np.array([[0.9, 0.2], [-0.2, 0.9]], np.float32) + 5
    b[30:] = rng.random((10, 2)) * 100
    assert 30 <= agreeing(a, b, 2.0) <= 33
    assert agreeing(a, b, 2.0) == agreeing(a, b, 2.0)
    assert agreeing(a[:3], b[:3], 2.0) == 0


def test_images_without_key_points_share_nothing():
    features = features_of(0, 5, 1)
    for how in (Matching(), Matching(reprojection=3.0)):
        scores = match_scores(features, [0, 1], features, np.array([[0, 1, 2], [0, 2, 1]]), how)
        assert np.isfinite(scores).all()
        assert not scores[0].any()
        assert scores[1, 0] == 0
