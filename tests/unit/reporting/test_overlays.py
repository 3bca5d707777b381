import base64
import io

import numpy as np
import pytest
from PIL import Image

from twinfolio.reporting.overlays import AGAINST, FOR, colour_bar, legend, mark_pairs, overlay, png_data, shared_limit

PAGE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def hue(pixel):
    """Which of the two colours a pixel is tinted with."""
    red, _, blue = pixel.astype(int)
    return np.sign(red - blue)


def test_places_for_the_match_are_orange_and_places_against_it_blue():
    values = np.array([[2.0, -2.0], [0.0, 0.0]], np.float32)
    painted = overlay(PAGE, values)
    assert painted.shape == PAGE.shape
    assert painted.dtype == np.uint8
    assert (hue(painted[5, 5]), hue(painted[5, 55])) == (hue(np.array(FOR)), hue(np.array(AGAINST))) == (1, -1)
    assert len(set(painted[38, 30].tolist())) == 1  # nothing is said there: grey


def test_a_larger_limit_pales_the_colour_and_one_limit_makes_a_pair_comparable():
    weak, strong = np.full((2, 2), 0.1, np.float32), np.full((3, 3), -0.4, np.float32)
    assert shared_limit(weak, strong) == pytest.approx(0.4)
    alone, paired = overlay(PAGE, weak), overlay(PAGE, weak, shared_limit(weak, strong))
    colour = [np.ptp(part.astype(int), axis=2).mean() for part in (paired, alone)]
    assert 0 < 3.5 * colour[0] < colour[1] < 4.5 * colour[0]


def test_a_map_of_zeros_is_the_grey_page():
    painted = overlay(PAGE[..., :1], np.zeros((7, 7), np.float32))
    assert painted.shape == PAGE.shape
    assert (painted == painted[..., :1]).all()
    assert np.corrcoef(painted[..., 0].ravel(), PAGE[..., 0].ravel())[0, 1] > 0.999


def test_maps_that_are_no_maps_are_refused():
    for values in (np.full((2, 2), np.nan, np.float32), np.zeros(4, np.float32)):
        with pytest.raises(ValueError, match="must be finite"):
            overlay(PAGE, values)


def test_the_bar_runs_from_against_to_for():
    bar = colour_bar(101, 5)
    assert bar.shape == (5, 101, 3)
    assert [hue(bar[2, column]) for column in (0, 50, 100)] == [-1, 0, 1]


def test_the_legend_says_what_sums_to_what():
    assert legend("the cosine", 0.98123, each=True).startswith("Each map sums to the cosine, 0.981.")
    assert legend("minus the L1 distance", -3, each=False).startswith("Both maps together sum to minus the L1 distance")


def test_png_data_is_the_picture():
    address = png_data(PAGE)
    head, _, data = address.partition(",")
    assert head == "data:image/png;base64"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), PAGE)


def test_serving_can_paint_without_matplotlib_or_torch():
    import subprocess
    import sys

    code = "import sys; import twinfolio.reporting.overlays; assert not {'torch', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_ends_of_a_pair_have_one_colour():
    image = np.full((60, 60, 1), 100, np.uint8)
    points, order = np.float32([[10, 10], [40, 30]]), np.float32([0.0, 1.0])
    one, other = mark_pairs(image, points, order), mark_pairs(image, points[::-1], order)
    assert one.shape == (60, 60, 3)
    np.testing.assert_array_equal(one[10, 8], other[30, 38])
    np.testing.assert_array_equal(one[30, 38], other[10, 8])
    assert len(np.unique(one.reshape(-1, 3), axis=0)) == 3
