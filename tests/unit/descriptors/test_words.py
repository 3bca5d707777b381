"""Vocabulary, bag of words and VLAD against slow references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.descriptors.conftest import features_of
from twinfolio.descriptors.bow import BagOfWords, word_counts
from twinfolio.descriptors.local import LocalFeatures
from twinfolio.descriptors.vlad import vlad
from twinfolio.descriptors.vocabulary import Vocabulary
from twinfolio.errors import DataError


def blobs(per=50, seed=0):
    """Key points round four corners of a square, an image a corner."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0], [0, 9], [9, 0], [9, 9]], np.float32)
    images = [np.concatenate([np.zeros((per, 2)), corner + rng.normal(0, 0.3, (per, 2))], axis=1) for corner in corners]
    return LocalFeatures.of([image.astype(np.float32) for image in images], 2), corners


def test_words_are_the_means_of_what_lies_together():
    features, corners = blobs()
    words = Vocabulary.fit(features, 4).words
    np.testing.assert_allclose(words[np.lexsort(words.round().T[::-1])], corners, atol=0.2)
    np.testing.assert_array_equal(words, Vocabulary.fit(features, 4).words)


def test_the_nearest_word_is_nearest_by_euclid():
    vocabulary, features = Vocabulary(np.random.default_rng(1).random((9, 8), np.float32)), features_of(20, 0, 30)
    distance = np.linalg.norm(features.descriptors[:, None] - vocabulary.words[None], axis=2)
    np.testing.assert_array_equal(vocabulary.nearest(features.descriptors), distance.argmin(1))


def test_more_words_than_key_points_are_refused_in_a_line():
    with pytest.raises(DataError, match="40 visual words from 35 key points of 2 images"):
        Vocabulary.fit(features_of(20, 15), 40)


def test_words_are_counted_and_weighed_by_how_rare_they_are():
    features, corners = blobs(per=10)
    both = LocalFeatures(features.points, features.descriptors, np.array([0, 10, 20, 40]))  # the third has two corners
    bags = BagOfWords.fit(both, Vocabulary(corners))
    counts = word_counts(both, bags.vocabulary)
    assert sorted(counts[2]) == [0, 0, 10, 10]
    np.testing.assert_allclose(bags.idf, np.log(3), rtol=1e-6)  # each word is in one image of three
    np.testing.assert_allclose(bags.encode(both)[2], counts[2] / 20 * bags.idf)
    np.testing.assert_array_equal(BagOfWords.fit(both, bags.vocabulary, idf=False).idf, 1)


def test_an_image_without_key_points_is_zero_everywhere():
    features = features_of(0, 12)
    vocabulary = Vocabulary(np.random.default_rng(0).random((3, 8), np.float32))
    assert not BagOfWords.fit(features, vocabulary).encode(features)[0].any()
    assert not vlad(features, vocabulary)[0].any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), power=st.sampled_from([0.5, 1.0]), intra=st.booleans())
def test_vlad_is_the_sum_of_residuals_normalised(seed, power, intra):
    features = features_of(7, 4, 1, seed=seed)
    vocabulary = Vocabulary(np.random.default_rng(seed).random((3, 8), np.float32))
    found = vlad(features, vocabulary, power=power, intra=intra)
    for i in range(3):
        _, descriptors = features.image(i)
        expected = np.zeros((3, 8))
        for one in descriptors.astype(np.float64):
            word = np.linalg.norm(vocabulary.words - one, axis=1).argmin()
            expected[word] += one - vocabulary.words[word]
        expected = np.sign(expected) * np.abs(expected) ** power
        if intra:
            norms = np.linalg.norm(expected, axis=1, keepdims=True)
            expected = np.where(norms > 0, expected / np.maximum(norms, 1e-30), 0)
        np.testing.assert_allclose(found[i], expected.ravel() / np.linalg.norm(expected), atol=1e-4)
