"""Large pages as text-dense tiles: a folio shrunk to the store's size has no script left to look at."""

from __future__ import annotations

import math

import numpy as np

from twinfolio.data.store import resize

OFFSETS = 4
"""Positions tried for the grid along each axis, within the margin that its whole cells leave."""


def tile_count(width: int, height: int, size: int, tiles: int, tile_above: float) -> int:
    """Rows of the store that a page becomes.

    Args:
        width: Page width in pixels.
        height: Page height in pixels.
        size: Side of the store's rows.
        tiles: Tiles of a large page.
        tile_above: A page is large when its longer side is over ``tile_above`` x ``size``.

    Returns:
        ``tiles`` for a large page, else 1.
    """
    return tiles if tiles > 1 and max(width, height) > tile_above * size else 1


def tile_side(width: int, height: int, tiles: int, size: int) -> int:
    """Side of a tile on the page, in page pixels.

    The largest square of which a grid on nine tenths of the page holds twice as many as are wanted, so that there are
    empty margins to leave out and room to move the grid (a 3:4 page and 6 tiles: three tenths of its width, about 7 to
    10 lines of script). Where that would enlarge the page, the largest square up to ``size`` of which the page holds
    as many as are wanted.

    Args:
        width: Page width in pixels.
        height: Page height in pixels.
        tiles: Tiles wanted.
        size: Side of the store's rows.
    """
    side = _largest_side(width * 9 // 10, height * 9 // 10, 2 * tiles)
    return side if side >= size else max(1, min(size, _largest_side(width, height, tiles)))


def decode_target(width: int, height: int, tiles: int, size: int) -> int:
    """Shorter side, in pixels, at which a page may be decoded so that no tile is enlarged."""
    side = tile_side(width, height, tiles, size)
    return math.ceil(min(width, height) * min(1.0, size / side))


def cut_tiles(page: np.ndarray, tiles: int, size: int) -> np.ndarray:
    """Cut the text-dense, non-overlapping tiles out of a page.

    The page is scaled so that a tile (see ``tile_side``) is ``size`` pixels; of the cells of a grid, at the offset
    that holds most ink, the densest ``tiles`` are kept. The same page gives the same tiles.

    Args:
        page: (H, W, 3) uint8, at any scale.
        tiles: Number of tiles.
        size: Side of a tile in the result.

    Returns:
        (tiles, size, size, 3) uint8, in reading order (rows from the top, each from the left).
    """
    height, width = page.shape[:2]
    scale = size / tile_side(width, height, tiles, size)
    scaled = resize(page, max(size, round(height * scale)), max(size, round(width * scale)))
    corners = _densest_cells(_ink(scaled, size), tiles, size)
    return np.stack([scaled[top : top + size, left : left + size] for top, left in corners])


def _largest_side(width: int, height: int, cells: int) -> int:
    """The largest square of which ``cells`` fit on the page as a grid; at least 1."""
    candidates = {length // count for length in (width, height) for count in range(1, cells + 1)}
    fitting = [side for side in candidates if side > 0 and (width // side) * (height // side) >= cells]
    return max(fitting, default=1)


def _ink(page: np.ndarray, size: int) -> np.ndarray:
    """(H, W) bool: pixels of strokes, thin and darker than the paper on both sides of them.

    The black-hat transform (closing - image) sees no shadow, stain or black table under the page, whose edges a
    gradient would take for writing.
    """
    import cv2

    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    widest = (size // 16) | 1  # a stroke at the scale of a tile with 7 to 10 lines is well below this
    hat = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((widest, widest), np.uint8))
    return np.asarray(hat > max(8.0, float(hat.std())))


def _densest_cells(ink: np.ndarray, tiles: int, size: int) -> list[tuple[int, int]]:
    """Corners (top, left) of the ``tiles`` densest cells at the best of the grid's offsets, in reading order."""
    total = np.zeros((ink.shape[0] + 1, ink.shape[1] + 1), np.int64)
    total[1:, 1:] = ink.cumsum(0, dtype=np.int64).cumsum(1)
    best: tuple[int, list[tuple[int, int]]] = (-1, [])
    for first_top in _offsets(ink.shape[0], size):
        for first_left in _offsets(ink.shape[1], size):
            tops = np.arange(first_top, ink.shape[0] - size + 1, size)
            lefts = np.arange(first_left, ink.shape[1] - size + 1, size)
            corners = total[np.ix_(tops, lefts)] + total[np.ix_(tops + size, lefts + size)]
            sums = (corners - total[np.ix_(tops + size, lefts)] - total[np.ix_(tops, lefts + size)]).ravel()
            kept = np.sort(np.argsort(-sums, kind="stable")[:tiles])
            cells = [(int(tops[cell // len(lefts)]), int(lefts[cell % len(lefts)])) for cell in kept]
            if sums[kept].sum() > best[0]:
                best = (int(sums[kept].sum()), cells)
    return best[1]


def _offsets(length: int, size: int) -> list[int]:
    """Offsets to try along one axis: ``OFFSETS`` steps through the margin that whole cells leave, without repeats."""
    margin = length % size
    return sorted({margin * step // (OFFSETS - 1) for step in range(OFFSETS)})
