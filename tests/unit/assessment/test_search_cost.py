import time

import numpy as np

from twinfolio.assessment.search_cost import search_cost
from twinfolio.retrieval.prepared import PreparedGallery
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import distance_scorer


def prepared(n=50, dim=16):
    vectors = np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)
    return PreparedGallery(Recipe(), vectors, np.arange(n), distance_scorer("cosine")), vectors


def test_extraction_is_told_an_image_and_without_the_first_call():
    gallery, vectors = prepared()
    batches = []

    def embed(images):
        time.sleep(0.5 if not batches else 0.02)
        batches.append(len(images))
        return images

    cost = search_cost(embed, np.zeros((4, 8, 8, 3), np.uint8), gallery, vectors[:3])
    assert 5 <= cost.extraction_ms < 100
    assert batches == [1, 4, 4, 4]


def test_bytes_are_those_the_gallery_keeps():
    gallery, vectors = prepared()
    cost = search_cost(lambda images: images, np.zeros((1, 2, 2, 1), np.uint8), gallery, vectors[:3])
    assert (cost.bytes_per_image, cost.n_gallery) == (16 * 4, 50)
    assert cost.query_ms > 0
