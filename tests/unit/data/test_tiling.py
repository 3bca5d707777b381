from __future__ import annotations

import cv2
import numpy as np
import pytest

from twinfolio.data.tiling import cut_tiles, decode_target, tile_count, tile_side


def folio(width: int = 900, height: int = 1200, text: tuple[int, int, int, int] = (250, 150, 850, 900)) -> np.ndarray:
    """Paper on a black table, with lines of strokes inside ``text`` (left, top, right, bottom) and one dark stain."""
    page = np.zeros((height, width, 3), np.uint8)
    page[20:-20, 20:-20] = (220, 200, 165)
    left, top, right, bottom = text
    for y in range(top, bottom, 24):
        for x in range(left, right, 14):
            cv2.line(page, (x, y), (x + 7, y - 12), (50, 35, 25), 2)
    cv2.ellipse(page, (120, height - 160), (90, 120), 0, 0, 360, (150, 130, 100), -1)
    return page


@pytest.mark.parametrize(("width", "height", "expected"), [(672, 500, 1), (673, 500, 6), (300, 700, 6), (200, 200, 1)])
def test_only_a_page_well_above_the_store_size_is_tiled(width, height, expected):
    assert tile_count(width, height, 224, 6, 3.0) == expected
    assert tile_count(width, height, 224, 1, 3.0) == 1


@pytest.mark.parametrize("shape", [(3000, 4000), (4000, 3000), (700, 500), (5000, 300), (20000, 20000), (900, 40)])
@pytest.mark.parametrize("tiles", [2, 6, 9])
def test_a_page_always_holds_the_tiles(shape, tiles):
    width, height = shape
    side = tile_side(width, height, tiles, 224)
    assert (width // side) * (height // side) >= tiles
    assert decode_target(width, height, tiles, 224) <= min(shape)


def test_a_large_page_offers_twice_the_cells_and_is_never_enlarged():
    side = tile_side(3000, 4000, 6, 224)
    assert side == 900
    assert tile_side(1000, 750, 6, 224) >= 224


def test_tiles_are_squares_of_the_store_size():
    assert cut_tiles(folio(), 6, 128).shape == (6, 128, 128, 3)
    assert cut_tiles(folio(1500, 130, (20, 20, 1400, 110)), 4, 128).shape == (4, 128, 128, 3)


def test_text_is_chosen_before_margins_stains_and_the_table():
    page = folio()
    tiles = cut_tiles(page, 4, 128)
    assert all((tile.min(axis=2) < 90).mean() > 0.05 for tile in tiles)
    assert all((tile.max(axis=2) < 10).mean() < 0.1 for tile in tiles)


def test_tiles_do_not_overlap():
    """Every pixel of this page has a colour of its own, so a pixel in two tiles shows."""
    numbers = np.arange(400 * 300, dtype=np.uint32).reshape(400, 300)
    page = np.stack([numbers & 255, (numbers >> 8) & 255, (numbers >> 16) & 255], axis=2).astype(np.uint8)
    tiles = cut_tiles(page, 6, 100)
    colours = tiles.reshape(-1, 3) @ np.array([1, 256, 65536])
    assert len(np.unique(colours)) == 6 * 100 * 100


def test_tiles_come_in_reading_order_and_always_the_same():
    page = folio(text=(40, 40, 860, 1160))
    page[:, :, 0] = np.linspace(0, 255, page.shape[0])[:, None]
    tiles = cut_tiles(page, 6, 96)
    heights = tiles[..., 0].mean(axis=(1, 2))
    assert (np.diff(heights) > -1).all()
    assert np.array_equal(tiles, cut_tiles(page.copy(), 6, 96))


def test_a_blank_page_still_gives_its_tiles():
    assert cut_tiles(np.full((900, 700, 3), 200, np.uint8), 6, 128).shape == (6, 128, 128, 3)
