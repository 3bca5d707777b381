import numpy as np
import pytest

from twinfolio.assessment.classical import classical_system
from twinfolio.descriptors.bow import scaled
from twinfolio.descriptors.encoder import Encoder, EncoderSpec
from twinfolio.retrieval.scorers import distance_scorer


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (4, 12, 12, 3)).astype(np.uint8)
    return coarse.repeat(10, axis=1).repeat(10, axis=2)


@pytest.mark.parametrize(
    "spec", [EncoderSpec("rootsift", words=4), EncoderSpec("phash"), EncoderSpec("orb", "bow", 64)]
)
def test_an_image_is_most_like_itself(spec, images):
    system = classical_system(Encoder.fit(spec, images))
    vectors = system.embed(images)
    assert system.name == spec.name
    assert system.search is None
    assert (system.scores(vectors, vectors).argmax(1) == np.arange(4)).all()


@pytest.mark.parametrize("distance", ["l1", "l2", "cosine"])
def test_bags_are_scaled_as_their_distance_asks(distance):
    rng = np.random.default_rng(0)
    a, b = (np.float32(side) for side in (rng.random((3, 9)), 7 * rng.random((5, 9))))
    scores = distance_scorer(distance)(scaled(b, distance)).pairwise(scaled(a, distance))
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (a, b)]
    cosine = unit[0] @ unit[1].T
    l1 = np.abs((a / a.sum(1, keepdims=True))[:, None] - b / b.sum(1, keepdims=True)).sum(2)
    expected = {"l1": -l1, "l2": -np.sqrt(2 - 2 * cosine), "cosine": cosine}[distance]
    np.testing.assert_allclose(scores, expected, atol=1e-3)


@pytest.mark.parametrize("distance", ["l1", "l2", "cosine"])
def test_an_image_without_key_points_is_no_more_alike_than_one_without_a_common_word(distance):
    bags = scaled(np.float32([[0, 0, 0], [0, 0, 3], [1, 2, 0], [1, 1, 1]]), distance)
    scores = distance_scorer(distance)(bags).pairwise(bags)
    assert scores[2, 0] == pytest.approx(scores[2, 1])
    assert scores[2, 3] > scores[2, 1]
    assert len(set(scores[0, 1:])) == 1
