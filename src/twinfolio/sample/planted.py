"""Near-duplicates of images, made on purpose: what a second scan, a thumbnail or a bad photocopy of a page looks like.

Each kind does one thing by a fixed amount, so that the same image always gives the same copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
CopyKind = Literal["resized", "cropped", "recompressed", "rotated", "faded"]
KINDS: tuple[CopyKind, ...] = get_args(CopyKind)

_SHRUNK = 0.7  # of each side
_KEPT = 0.9  # of each side
_JPEG_QUALITY = 30
_DEGREES = 3.0
_CONTRAST, _PAPER = 0.6, 255.0


def plant(image: Image, kind: CopyKind) -> Image:
    """A near-duplicate of an image.

    Args:
        image: (H, W, C) uint8, one or three (RGB) channels.
        kind: ``resized`` (to 70 % and back), ``cropped`` (the middle 90 % of each side, enlarged again),
            ``recompressed`` (JPEG of quality 30), ``rotated`` (by 3 degrees about the middle, edges repeated) or
            ``faded`` (contrast 0.6, towards white).

    Returns:
        (H, W, C) uint8.

    Raises:
        ValueError: No such kind.
    """
    if kind not in _COPIES:
        raise ValueError(f"no near-duplicate is called {kind!r} (known: {', '.join(KINDS)})")
    # OpenCV drops the axis of a single channel
    return np.asarray(_COPIES[kind](image), dtype=np.uint8).reshape(image.shape)


def _resized(image: Image) -> Image:
    height, width = image.shape[:2]
    small = cv2.resize(image, _shrunk(width, height, _SHRUNK), interpolation=cv2.INTER_AREA)
    return _scaled_to(small, width, height)


def _cropped(image: Image) -> Image:
    height, width = image.shape[:2]
    across, down = _shrunk(width, height, _KEPT)
    left, top = (width - across) // 2, (height - down) // 2
    return _scaled_to(image[top : top + down, left : left + across], width, height)


def _recompressed(image: Image) -> Image:
    # the channels' order is exchanged both ways, since JPEG keeps less of colour than of light
    flipped = np.ascontiguousarray(image[..., ::-1])
    _, encoded = cv2.imencode(".jpg", flipped, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), np.uint8).reshape(image.shape)
    return decoded[..., ::-1]


def _rotated(image: Image) -> Image:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), _DEGREES, 1.0)
    turned = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def _faded(image: Image) -> Image:
    return np.asarray(np.rint(_PAPER - _CONTRAST * (_PAPER - image.astype(np.float32))), np.uint8)


def _shrunk(width: int, height: int, share: float) -> tuple[int, int]:
    return max(1, round(share * width)), max(1, round(share * height))


def _scaled_to(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


_COPIES: dict[CopyKind, Callable[[Image], Image]] = {
    "resized": _resized,
    "cropped": _cropped,
    "recompressed": _recompressed,
    "rotated": _rotated,
    "faded": _faded,
}
