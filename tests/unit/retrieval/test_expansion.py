import numpy as np
import pytest

from twinfolio.retrieval.expansion import Expansion, blend
from twinfolio.retrieval.scorers import unit_rows


def draw(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, 5)).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32), rng.uniform(size=4)


def test_alpha_zero_is_the_plain_average_even_of_what_is_not_similar():
    own, others, _ = draw()
    mixed = blend(unit_rows(own), others, Expansion(4, 0.0).weights(np.array([0.9, 0.5, 0.1, 0.0])))
    for vector, tile in zip(mixed, unit_rows(own), strict=True):
        average = np.vstack([tile, others]).mean(0)
        assert vector == pytest.approx(average / np.linalg.norm(average), abs=1e-5)


def test_weights_are_powers_of_the_similarity():
    assert Expansion(3, 2.0).weights(np.array([1.0, 0.5, 0.0])) == pytest.approx([1.0, 0.25, 0.0])


def test_each_vector_keeps_its_own_length():
    own, others, weights = draw()
    assert np.linalg.norm(blend(own, others, weights), axis=1) == pytest.approx(np.linalg.norm(own, axis=1), rel=1e-5)


def test_nothing_to_blend_with_changes_nothing():
    own, others, _ = draw()
    assert blend(own, others[:0], np.empty(0)) == pytest.approx(own, rel=1e-6)
    assert blend(own, others, np.zeros(4)) == pytest.approx(own, rel=1e-6)


@pytest.mark.parametrize(("n", "alpha"), [(0, 3.0), (5, -1.0)])
def test_what_is_no_expansion_is_refused(n, alpha):
    with pytest.raises(ValueError, match="no such expansion"):
        Expansion(n, alpha)
