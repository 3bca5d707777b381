from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from twinfolio.evaluation.baselines import colour_histogram, cosine_scores


def test_the_histogram_is_numpys_for_every_image_and_channel(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)
    slow = [
        np.concatenate([np.histogram(image[..., c], bins=16, range=(0, 256))[0] for c in range(3)]) / 90
        for image in images
    ]
    monkeypatch.setattr("twinfolio.evaluation.baselines._BLOCK_PIXELS", 200)
    result = colour_histogram(images)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, slow, rtol=1e-6)
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-5)


def test_the_square_root_has_unit_length():
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    np.testing.assert_allclose((colour_histogram(images, hellinger=True) ** 2).sum(axis=1), 1, rtol=1e-5)


def test_bins_and_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="bins"):
        colour_histogram(np.zeros((1, 2, 2, 3), np.uint8), bins=10)
    with pytest.raises(ValueError, match="uint8"):
        colour_histogram(np.zeros((1, 2, 2, 3), np.float32))


def test_cosines_are_scikit_learns_and_a_zero_vector_is_similar_to_nothing():
    generator = np.random.default_rng(1)
    query, gallery = generator.normal(size=(4, 6)), generator.normal(size=(5, 6))
    gallery[2] = 0
    np.testing.assert_allclose(cosine_scores(query, gallery), cosine_similarity(query, gallery), atol=1e-12)
