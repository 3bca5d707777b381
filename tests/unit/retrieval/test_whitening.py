import numpy as np
import pytest

from twinfolio.retrieval.scorers import unit_rows
from twinfolio.retrieval.whitening import fit_whitening


def correlated(n=300, width=12, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)).astype(np.float32)


@pytest.mark.parametrize("dims", [12, 5, 99])
def test_the_training_vectors_have_mean_zero_and_the_identity_as_covariance(dims):
    vectors = correlated()
    whitening = fit_whitening(vectors, dims)
    assert whitening.dims == min(dims, 12)
    white = whitening.project(vectors).astype(np.float64)
    assert white.mean(0) == pytest.approx(0, abs=1e-3)
    assert np.cov(white, rowvar=False) == pytest.approx(np.eye(whitening.dims), abs=1e-3)


def test_the_first_dimensions_are_those_of_the_largest_variance():
    vectors = correlated()
    units = unit_rows(vectors).astype(np.float64)
    _, values, directions = np.linalg.svd(units - units.mean(0))
    expected = (units - units.mean(0)) @ directions[:3].T / (values[:3] / np.sqrt(len(vectors) - 1))
    assert np.abs(fit_whitening(vectors, 3).project(vectors)) == pytest.approx(np.abs(expected), abs=2e-3)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_fewer_vectors_than_dimensions_have_the_same_axes_as_their_covariance(shrinkage):
    vectors = correlated(n=20, width=40)
    units = unit_rows(vectors).astype(np.float64)
    values, axes = np.linalg.eigh(np.cov(units, rowvar=False))
    shrunk = ((1 - shrinkage) * values + shrinkage * values.mean())[-5:][::-1]
    expected = (units - units.mean(0)) @ axes[:, -5:][:, ::-1] / np.sqrt(shrunk)
    assert np.abs(fit_whitening(vectors, 5, shrinkage).project(vectors)) == pytest.approx(np.abs(expected), abs=2e-3)


def test_full_shrinkage_rotates_and_keeps_all_angles_between_centred_vectors():
    vectors = correlated()
    centred = unit_rows(vectors) - unit_rows(vectors).mean(0)
    angles = unit_rows(centred) @ unit_rows(centred).T
    white = fit_whitening(vectors, 12, shrinkage=1.0).apply(vectors)
    assert white @ white.T == pytest.approx(angles, abs=1e-4)


def test_a_direction_without_spread_does_not_become_noise():
    vectors = np.concatenate([correlated(width=4), np.zeros((300, 3), np.float32)], axis=1)
    whitening = fit_whitening(vectors, 7)
    assert np.isfinite(whitening.projection).all()
    assert np.abs(whitening.project(vectors)[:, 4:]).max() < 0.1


@pytest.mark.parametrize(("n", "dims", "shrinkage"), [(1, 4, 0.0), (9, 0, 0.0), (9, 4, 1.5)])
def test_what_cannot_be_learned_is_refused(n, dims, shrinkage):
    with pytest.raises(ValueError, match="nothing to whiten"):
        fit_whitening(correlated(n), dims, shrinkage)
