import numpy as np

from twinfolio.assessment.model_folder import ModelFolder
from twinfolio.reporting.khayyat_query import query_seconds


class Model:
    """Notes what it is asked."""

    def __init__(self):
        self.scored = []

    def embed(self, images):
        return images.reshape(len(images), -1).astype(np.float32)

    def scores(self, queries, gallery):
        self.scored.append((len(queries), len(gallery)))
        return queries @ gallery.T


def test_a_query_is_timed_in_three_parts_against_the_whole_gallery():
    model = Model()
    seconds = query_seconds(ModelFolder(model, [], 0.0, np.ones((7, 12)), None), np.ones((1, 2, 2, 3), np.uint8))
    assert set(seconds) == {"embed", "head", "sort"}
    assert min(seconds.values()) > 0
    assert set(model.scored) == {(1, 7)}
