import numpy as np
import pytest

from twinfolio.errors import ParamsError
from twinfolio.sample.scenes import Views, draw_views, overlap


def test_the_same_seed_gives_the_same_views_and_another_drift_the_same_streets_anew():
    a, b, c = draw_views(2, 3, 64, 0), draw_views(2, 3, 64, 0), draw_views(2, 3, 64, 0, drift=1)
    np.testing.assert_array_equal(a.images, b.images)
    assert a.images.shape == (6, 64, 64, 3)
    assert (a.corners != c.corners).any()
    np.testing.assert_array_equal(a.scenes, [0, 0, 0, 1, 1, 1])


def test_the_overlap_is_the_share_of_common_pixels():
    views = draw_views(3, 4, 64, 1)
    found = overlap(views, views)
    masks = np.zeros((len(views.images), 3, 144, 480), bool)
    for mask, scene, (x, y) in zip(masks, views.scenes, views.corners, strict=True):
        mask[scene, y : y + 64, x : x + 64] = True
    flat = masks.reshape(len(masks), -1).astype(np.float64)
    np.testing.assert_allclose(found, flat @ flat.T / 64**2, atol=1e-6)
    np.testing.assert_allclose(found, found.T)


def test_overlapping_views_look_alike_where_they_overlap():
    a = draw_views(1, 40, 96, 2)
    share = overlap(a, a)
    np.fill_diagonal(share, 0)
    i, j = np.unravel_index(share.argmax(), share.shape)
    shift = a.corners[j] - a.corners[i]
    rows = slice(max(0, shift[1]), 96 + min(0, shift[1])), slice(max(0, shift[0]), 96 + min(0, shift[0]))
    others = slice(max(0, -shift[1]), 96 + min(0, -shift[1])), slice(max(0, -shift[0]), 96 + min(0, -shift[0]))
    first, second = a.images[i][rows].ravel().astype(float), a.images[j][others].ravel().astype(float)
    assert np.corrcoef(first, second)[0, 1] > 0.9


def test_other_streets_have_nothing_in_common():
    place = np.array([[5, 5], [5, 5]])
    views = Views(np.zeros((2, 16, 16, 3), np.uint8), np.array([0, 1]), place)
    np.testing.assert_array_equal(overlap(views, views), np.eye(2))


def test_a_window_larger_than_a_street_is_refused():
    with pytest.raises(ParamsError, match="a window of 200 pixels"):
        draw_views(1, 1, 200, 0)
