"""One page from manuscript, number and seed: write, age, photograph, compress."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from twinfolio.sample.faces import Ink
from twinfolio.sample.noise import Field, smooth_noise
from twinfolio.sample.palettes import INKS, REDS, RGB
from twinfolio.sample.paper import draw_paper, light
from twinfolio.sample.pen import draw_strokes, ink_supply
from twinfolio.sample.pose import draw_pose, lay_out, rule_page
from twinfolio.sample.scribes import Manuscript
from twinfolio.sample.writing import INK, RED, SCALE, write_sheet

HEIGHT, WIDTH = 224, 160
_WHITEST = 0.05
_PAPER_SHARES, _INK_SHARES = (0.90, 0.06, 0.04), (0.7, 0.3)
_WARM = np.array([0.4, 0.1, -1.0])


def draw_page(manuscript: Manuscript, rng: np.random.Generator) -> Ink:
    """Draw one page.

    Args:
        manuscript: Hand, workshop and layout.
        rng: Source of everything that varies from page to page.

    Returns:
        (``HEIGHT``, ``WIDTH``, 3) RGB.
    """
    shop = manuscript.workshop
    paper = draw_paper(int(rng.choice(shop.papers, p=_PAPER_SHARES)), HEIGHT, WIDTH, rng)
    if rng.random() < 0.45:
        paper = paper * _bleed_through(manuscript, rng)[:, :, None]
    written = _lay_ink(paper, manuscript, rng)
    return _photograph(written, rng.random() < shop.grey_scans, rng)


def encode_page(page: Ink, rng: np.random.Generator) -> bytes:
    """The page as JPEG of a quality drawn for it."""
    quality = int(rng.integers(68, 94))
    done, data = cv2.imencode(".jpg", page[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return data.tobytes()


def _lay_ink(paper: RGB, manuscript: Manuscript, rng: np.random.Generator) -> RGB:
    """Write on the paper; ink darkens what lies under it."""
    shop, hand = manuscript.workshop, manuscript.hand
    em = SCALE * shop.pitch * hand.size
    pose, (sheet, lines) = draw_pose(rng), write_sheet(manuscript, HEIGHT, WIDTH, rng)
    layers = lay_out(sheet, hand, em, pose, rng)
    supply = ink_supply(HEIGHT, WIDTH, shop.pitch, float(rng.uniform(0.2, 0.95)), rng) * _fading(rng)
    ink = INKS[int(rng.choice(shop.inks, p=_INK_SHARES))] + rng.normal(0, 4, 3).astype(np.float32)
    paper = rule_page(paper, lines, shop, pose, (REDS[0], ink))
    for layer, colour in ((RED, REDS[int(rng.integers(len(REDS)))]), (INK, ink)):
        if layers[:, :, layer].any():
            cover = draw_strokes(np.ascontiguousarray(layers[:, :, layer]), hand, em, rng)
            paper = _stain_with(paper, cover * supply, colour)
    return paper


def _stain_with(paper: RGB, cover: Field, colour: npt.NDArray[np.float32]) -> RGB:
    """Mix half as paint over the paper, half as a filter through which it shows."""
    cover = cover[:, :, None]
    through = paper * (1 - cover * (1 - colour / 255))
    over = paper * (1 - cover) + colour * cover
    return (0.5 * (through + over)).astype(np.float32)


def _fading(rng: np.random.Generator) -> Field:
    """How much ink is left: less on some pages, and there in patches."""
    loss = float(rng.beta(1.2, 3.5)) * 0.65
    patches = 1 + 0.25 * smooth_noise(HEIGHT, WIDTH, 50, rng)
    left: Field = np.clip(1 - loss * patches, 0.2, 1.0)
    return left


def _shrink(layer: Ink) -> Field:
    """From sheet to page size, 0 to 1."""
    small: Field = cv2.resize(layer, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return small


def _bleed_through(manuscript: Manuscript, rng: np.random.Generator) -> Field:
    """Factors for the paper: the other side's writing, mirrored, soft and faint."""
    em = SCALE * manuscript.workshop.pitch * manuscript.hand.size
    sheet, _ = write_sheet(manuscript, HEIGHT, WIDTH, rng)
    back = lay_out(sheet, manuscript.hand, em, draw_pose(rng), rng)
    ghost = cv2.GaussianBlur(_shrink(np.ascontiguousarray(back[:, ::-1, INK])), (0, 0), float(rng.uniform(0.7, 1.6)))
    factors: Field = 1 - np.float32(rng.uniform(0.04, 0.20)) * ghost
    return factors


def _photograph(scene: RGB, grey: bool, rng: np.random.Generator) -> Ink:
    """Light, lens, sensor and white balance; ``grey`` for a scan without colour."""
    image = scene * light(HEIGHT, WIDTH, rng)[:, :, None]
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), float(rng.uniform(0.3, 0.75)))
    image = image * (1 + _WARM * float(rng.normal(0, 0.012)) + rng.normal(0, 0.004, 3)).astype(np.float32)
    image = (image - 128) * np.float32(rng.uniform(0.95, 1.08)) + np.float32(128 + rng.normal(0, 3))
    if grey:
        image = np.repeat(_grey_scan(image, rng)[:, :, None], 3, axis=2)
    image = image + rng.normal(0, rng.uniform(0.8, 2.6), (HEIGHT, WIDTH, 1)).astype(np.float32)
    picture: Ink = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return picture


def _grey_scan(image: RGB, rng: np.random.Generator) -> Field:
    """Microfilm: grey, paper near white, contrast raised."""
    grey = image @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    white = float(np.quantile(grey, 1 - _WHITEST))
    stretched = 128 + (grey - 128) * float(rng.uniform(1.0, 1.35))
    return (stretched + (float(rng.uniform(215, 245)) - white)).astype(np.float32)
