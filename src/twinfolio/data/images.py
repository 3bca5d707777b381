"""The one place where image files are opened: decoding, and the facts that the split needs."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from twinfolio.errors import DataError

MAX_PIXELS = 1_000_000_000
"""No image above this is opened: a 20,000 x 20,000 scan passes, a decompression bomb does not."""
MAX_WHOLE_PIXELS = 2**28
"""The limit of what only decodes whole (all but JPEG), because Pillow holds 4 bytes a pixel: 1 GiB."""
PROBE_TARGET = 1024
"""Shorter side, in pixels, that ``probe`` needs: a large JPEG is decoded at reduced scale."""
THUMBNAIL = 32
"""Side of the grey thumbnail behind the perceptual hash."""

# scans of whole folios are far above Pillow's default of 90 million pixels; ``_check_size`` is the limit that holds
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

# what Pillow's decoders raise on bytes that are not what they claim to be
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError, MemoryError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
_SHARE = 32 * 2**20  # bytes of files that are worth the start of a process


class UnreadableImageError(DataError):
    """A file that cannot be decoded.

    Args:
        path: The file.
        reason: Why, in a few words ("truncated").
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}", "replace or remove the file")
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return UnreadableImageError, (self.path, self.reason)


@dataclass(frozen=True)
class ImageFacts:
    """What the split knows of an image, after its EXIF rotation."""

    width: int
    """Pixels, at full scale."""
    height: int
    """Pixels, at full scale."""
    sha256: str
    """Of the file's bytes."""
    pixel_hash: str
    """SHA-256 of size and RGB pixels. A JPEG whose shorter side is at least 2 x ``PROBE_TARGET`` is hashed at reduced
    scale, so two of those are told apart only by what survives halving."""
    perceptual_hash: str
    """64-bit pHash as 16 hex digits."""
    thumbnail: bytes = field(repr=False)
    """Grey, ``THUMBNAIL`` x ``THUMBNAIL``, row by row."""


def decode(path: Path, target: int | None = None) -> NDArray[np.uint8]:
    """Decode an image file: the one decode function of the project.

    CMYK, palettes and grey become RGB; 16-bit values are scaled, not clipped; alpha is laid on white; EXIF rotation is
    applied; of an animation the first frame counts. Integers of 32 bits and floats are scaled by the smallest of 1,
    255, 65,535 that holds the image's maximum, or else by the maximum.

    Args:
        path: The file.
        target: A JPEG may be decoded at 1/2, 1/4 or 1/8 scale as long as its shorter side keeps this many pixels; that
            takes a fraction of time and memory (a progressive JPEG saves time only). None: full scale.

    Returns:
        Shape (H, W, 3), RGB, uint8.

    Raises:
        UnreadableImageError: The file is missing, empty, truncated, corrupt, too large or not an image.
    """
    return np.asarray(_load(path, target)[0])


def image_size(path: Path) -> tuple[int, int]:
    """Width and height after the EXIF rotation, from the file's header alone (raises as ``decode``)."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            turned = 1
            with suppress(*_DECODER_ERRORS):
                turned = image.getexif().get(ExifTags.Base.Orientation, 1)
            return image.size[::-1] if turned in (5, 6, 7, 8) else image.size
    except _DECODER_ERRORS as error:
        raise UnreadableImageError(path, _reason(path, error)) from None


def probe(path: Path) -> ImageFacts:
    """Decode an image once and gather its facts (raises as ``decode``)."""
    image, (width, height) = _load(path, PROBE_TARGET)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    pixels = hashlib.sha256(f"{width}x{height} ".encode())
    pixels.update(image.tobytes())
    grey = np.asarray(image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS))
    return ImageFacts(width, height, digest, pixels.hexdigest(), f"{perceptual_hash(grey):016x}", grey.tobytes())


def probe_all(paths: Sequence[Path], workers: int | None = None, *, bar: bool = True) -> list[ImageFacts | str]:
    """Probe many files in parallel processes.

    Args:
        paths: The files.
        workers: Number of processes; None: one a core. No more are started than the size of the files is worth.
        bar: Show progress on standard error.

    Returns:
        In the order of ``paths``: the facts, or the reason why the file is unreadable.

    Raises:
        DataError: A process died, most likely for want of memory.
    """
    workers = min(workers or _cores(), len(paths) or 1, 1 + sum(map(_size, paths)) // _SHARE)
    hidden = not (bar and paths)
    try:
        return list(tqdm(_map(paths, workers), "reading images", len(paths), unit="image", disable=hidden))
    except BrokenProcessPool:
        raise DataError("a process that reads images died", "free memory, or remove the largest images") from None


def perceptual_hash(grey: NDArray[np.uint8]) -> int:
    """The 64-bit pHash: signs of the 8 x 8 lowest DCT-II coefficients about their median.

    Bits as in ``imagehash.phash`` (first coefficient = highest bit). On a flat image they mean nothing.

    Args:
        grey: Shape (32, 32), uint8.
    """
    basis = _cosines()
    # rounding keeps the noise of floating point out of coefficients that are truly equal
    low = np.round(basis @ grey.astype(np.float64) @ basis.T, 3)
    bits = (low > np.median(low)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _map(paths: Sequence[Path], workers: int) -> Iterator[ImageFacts | str]:
    """Probe in order, in this process or in others."""
    if workers == 1:
        yield from map(_facts_or_reason, paths)
        return
    # never fork: this process may have threads (progress bar, tracking)
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method)) as pool:
        yield from pool.map(_facts_or_reason, paths, chunksize=max(1, min(16, len(paths) // (4 * workers))))


def _facts_or_reason(path: Path) -> ImageFacts | str:
    try:
        return probe(path)
    except UnreadableImageError as error:
        return error.reason


def _load(path: Path, target: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """The upright RGB image, maybe at reduced scale, and its width and height at full scale."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            full = image.size
            if target is not None:
                image.draft(None, (target, target))
            _check_size(path, image, full)
            image.load()
            before = image.size
            _turn_upright(image)
            return _to_rgb(image), full if image.size == before else (full[1], full[0])
    except _DECODER_ERRORS as error:
        raise UnreadableImageError(path, _reason(path, error)) from None


def _check_size(path: Path, image: Image.Image, full: tuple[int, int]) -> None:
    """Refuse what would exhaust memory; ``image.size`` is what will be decoded, ``full`` what the file holds."""
    limit = MAX_PIXELS if image.format in ("JPEG", "MPO") else MAX_WHOLE_PIXELS
    if full[0] * full[1] > limit:
        raise UnreadableImageError(path, f"too large: {full[0]} x {full[1]} pixels")


def _turn_upright(image: Image.Image) -> None:
    """Apply the EXIF rotation; an image with broken EXIF data stays as it lies."""
    with suppress(*_DECODER_ERRORS):
        ImageOps.exif_transpose(image, in_place=True)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_to_8_bits(np.asarray(image)))
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale deep grey values to 0..255: see ``decode``."""
    levels = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    highest = float(levels.max(initial=0.0))
    tops = (65535.0,) if values.dtype.itemsize == 2 else (1.0, 255.0, 65535.0)
    top = next((top for top in tops if highest <= top), highest)
    return np.clip(np.round(levels * (255.0 / top)), 0, 255).astype(np.uint8)


def _reason(path: Path, error: BaseException) -> str:
    """Why a file is unreadable, in a few words."""
    if isinstance(error, UnreadableImageError):
        return error.reason
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if path.is_file() and path.stat().st_size == 0:
        return "empty file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError):
        return "too large"
    if isinstance(error, MemoryError):
        return "too large for the memory at hand"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "truncated"
    return f"corrupt ({' '.join(str(error).split())[:80] or type(error).__name__})"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _cosines() -> NDArray[np.float64]:
    """The 8 lowest rows of the unnormalised DCT-II of length ``THUMBNAIL``."""
    rows, columns = np.arange(8)[:, None], np.arange(THUMBNAIL)[None]
    return 2 * np.cos(np.pi * rows * (2 * columns + 1) / (2 * THUMBNAIL))
