"""A page as photographed."""

from __future__ import annotations

import numpy as np
import pytest

from twinfolio.sample.generate import page_generator
from twinfolio.sample.noise import smooth_noise
from twinfolio.sample.page import HEIGHT, WIDTH, draw_page
from twinfolio.sample.paper import draw_paper
from twinfolio.sample.pose import Pose, lay_out, rule_page
from twinfolio.sample.scribes import draw_manuscripts


@pytest.fixture(scope="module")
def manuscript():
    return draw_manuscripts(0, 2, (1, 1))[0]


def test_the_same_generator_gives_the_same_pixels(manuscript):
    one, two = (draw_page(manuscript, page_generator(4, 0, 7)) for _ in range(2))
    assert one.shape == (HEIGHT, WIDTH, 3)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, two)


def test_every_part_of_a_page_number_changes_the_draw():
    draws = {page_generator(*key).random() for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]}
    assert len(draws) == 5


def test_a_page_has_ink_on_paper(manuscript):
    page = draw_page(manuscript, page_generator(0, 0, 0)).mean(axis=2)
    paper, ink = np.quantile(page, 0.8), np.quantile(page, 0.01)
    assert paper - ink > 50
    assert 0.02 < (page < (paper + ink) / 2).mean() < 0.45


@pytest.mark.parametrize(("wavelength", "shape"), [(2.0, (50, 40)), (7.3, (31, 64)), (200.0, (50, 40))])
def test_noise_has_the_size_asked_for(wavelength, shape):
    noise = smooth_noise(*shape, wavelength, np.random.default_rng(0))
    assert noise.shape == shape
    assert np.abs(noise).max() < 6


def test_an_empty_leaf_is_bright_and_has_texture():
    leaf = draw_paper(0, HEIGHT, WIDTH, np.random.default_rng(0))
    assert leaf.mean() > 120
    assert leaf.std(axis=(0, 1)).min() > 0.5


def test_a_frame_lies_where_the_page_was_laid(manuscript):
    from dataclasses import replace

    import cv2

    from twinfolio.sample.writing import BORDER, SCALE

    shop = replace(manuscript.workshop, frame=1, ruling=0.0, margin=20.0)
    hand = replace(manuscript.hand, tremor=0.0, wander=0.0)
    pose = Pose(0.05, 1.04, 8.0, -6.0)
    inset = BORDER + SCALE * 15
    sheet = np.zeros((SCALE * HEIGHT + 2 * BORDER, SCALE * WIDTH + 2 * BORDER, 1), dtype=np.uint8)
    sheet[:, inset - 1 : inset + 2] = 255
    sheet[:, -inset - 2 : -inset + 1] = 255
    laid = cv2.resize(lay_out(sheet, hand, 60.0, pose, np.random.default_rng(0)), (WIDTH, HEIGHT), interpolation=3)
    blank = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.float32)
    ruled = 255 - rule_page(blank, [], shop, pose, [np.zeros(3, np.float32)])[:, :, 0]
    for half in (slice(0, WIDTH // 2), slice(WIDTH // 2, WIDTH)):
        at = [(band[half] * np.arange(WIDTH)[half]).sum() / band[half].sum() for band in (laid[50], ruled[50])]
        assert abs(at[0] - at[1]) < 0.6
