import numpy as np
import pytest

from twinfolio.retrieval.views import Views, mean_direction


def photos(n=3, height=12, width=16, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def pooled(images):
    """A tiny embedder that sees where things are; its vectors are not of length 1."""
    return (
        images.reshape(len(images), 2, -1, images.shape[2] * images.shape[3])
        .mean(2)
        .reshape(len(images), -1)
        .astype(np.float32)[:, ::3]
    )


def test_the_whole_alone_is_the_plain_embedding():
    images = photos()
    assert (Views(per_side=0).forward(pooled)(images) == pooled(images)).all()


@pytest.mark.parametrize(("per_side", "n"), [(0, 1), (1, 2), (2, 5), (3, 10)])
def test_the_first_view_is_the_whole_and_the_rest_a_grid(per_side, n):
    views = Views(per_side, 0.5).cut(photos())
    assert views.shape == (3, n, 12, 16, 3)
    assert (views[:, 0] == photos()).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_corner_shows_that_corner_enlarged(channels):
    images = np.zeros((1, 12, 16, channels), np.uint8)
    images[:, 6:, 8:] = 255
    views = Views(2, 0.5).cut(images)[0]
    assert [int(view.mean()) for view in views[1:]] == [0, 0, 0, 255]


def test_crops_as_large_as_the_image_change_nothing():
    images = photos()
    views = Views(1, 1.0)
    assert (views.cut(images)[:, 1] == images).all()
    assert views.forward(pooled)(images) == pytest.approx(pooled(images), rel=1e-5)


def test_an_embedding_is_the_mean_of_the_unit_vectors_at_their_mean_length():
    images = photos()
    views = Views(2, 0.7)
    for image, vector in zip(images, views.forward(pooled)(images), strict=True):
        each = pooled(views.cut(image[None])[0])
        lengths = np.linalg.norm(each, axis=1)
        mean = (each / lengths[:, None]).mean(0)
        assert vector == pytest.approx(mean / np.linalg.norm(mean) * lengths.mean(), rel=1e-4)


def test_many_images_are_embedded_in_small_batches():
    seen = []

    def counting(images):
        seen.append(len(images))
        return pooled(images)

    assert Views(2).forward(counting)(photos(40)).shape[0] == 40
    assert max(seen) <= 64
    assert sum(seen) == 200


def test_one_view_is_its_own_mean():
    vectors = pooled(photos())[:, None]
    assert mean_direction(vectors) == pytest.approx(vectors[:, 0], rel=1e-5)


@pytest.mark.parametrize(("per_side", "crop"), [(-1, 0.5), (2, 0.0), (2, 1.5)])
def test_views_that_do_not_exist_are_refused(per_side, crop):
    with pytest.raises(ValueError, match="no such views"):
        Views(per_side, crop)
