import numpy as np
import pytest

from twinfolio.assessment.classical import bag_scoring, classical_system
from twinfolio.descriptors.encoder import Encoder, EncoderSpec
from twinfolio.descriptors.hashing import hash_scores
from twinfolio.evaluation.baselines import cosine_scores


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (4, 12, 12, 3)).astype(np.uint8)
    return coarse.repeat(10, axis=1).repeat(10, axis=2)


@pytest.mark.parametrize(
    ("spec", "scores"), [(EncoderSpec("rootsift", words=4), cosine_scores), (EncoderSpec("phash"), hash_scores)]
)
def test_vlad_is_compared_by_cosine_and_a_hash_by_its_bits(spec, scores, images):
    encoder = Encoder.fit(spec, images)
    system = classical_system(encoder, "l1")
    vectors = system.embed(images)
    assert system.name == spec.name
    np.testing.assert_array_equal(vectors, encoder(images))
    np.testing.assert_array_equal(system.scores(vectors, vectors), scores(vectors, vectors))
    assert (system.scores(vectors, vectors).argmax(1) == np.arange(4)).all()


def test_bags_are_normalised_as_their_distance_asks():
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 9)), 7 * rng.random((5, 9))
    l1 = np.abs((a / a.sum(1, keepdims=True))[:, None] - b / b.sum(1, keepdims=True)).sum(2)
    np.testing.assert_allclose(bag_scoring("l1")(a, b), -l1)
    cosine = bag_scoring("cosine")(a, b)
    np.testing.assert_allclose(bag_scoring("l2")(a, b), -np.sqrt(2 - 2 * cosine), atol=1e-9)


@pytest.mark.parametrize("distance", ["l1", "l2", "cosine"])
def test_an_image_without_key_points_is_no_more_alike_than_one_without_a_common_word(distance):
    bags = np.array([[0.0, 0, 0], [0, 0, 3], [1, 2, 0], [1, 1, 1]])
    scores = bag_scoring(distance)(bags, bags)
    assert scores[2, 0] == pytest.approx(scores[2, 1])
    assert scores[2, 3] > scores[2, 1]
    assert len(set(scores[0])) == 1
