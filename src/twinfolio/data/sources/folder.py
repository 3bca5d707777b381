"""A folder of class folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinfolio.errors import DataError

IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
    ".jp2", ".avif", ".heic", ".heif",
})  # fmt: skip
"""Endings of what is taken for an image, in lower case; whether it can be read is seen when it is decoded."""


@dataclass(frozen=True)
class Listing:
    """What lies in a folder of class folders, sorted, paths relative to it with ``/``."""

    paths: tuple[str, ...]
    """Images; the first component is the class."""
    left_out: tuple[tuple[str, str], ...]
    """(path, reason) of images that cannot be used where they lie."""
    others: int
    """Number of files that are no images."""


def list_images(root: Path, *, classes: bool = True) -> Listing:
    """List the images below class folders, at any depth.

    Hidden files and folders (a leading dot, ``__MACOSX``) do not exist for it; links are followed.

    Args:
        root: The folder of class folders.
        classes: Every image must lie in a class folder; without it images may lie in ``root`` itself.

    Raises:
        DataError: ``root`` is no folder.
    """
    if not root.is_dir():
        wanted = "put one folder of images a class into it" if classes else "put images there"
        raise DataError(f"{root}: no such folder", wanted)
    paths: list[str] = []
    left_out: list[tuple[str, str]] = []
    others = 0
    for path in _files(root):
        reason = _unusable(path, classes)
        if Path(path).suffix.lower() not in IMAGE_SUFFIXES:
            others += 1
        elif reason is not None:
            left_out.append((_printable(path), reason))
        else:
            paths.append(path)
    return Listing(tuple(sorted(paths)), tuple(sorted(left_out)), others)


def class_of(path: str) -> str:
    """The class folder of a listed path; empty for an image that lies in none."""
    return path.partition("/")[0] if "/" in path else ""


def _files(root: Path) -> Iterator[str]:
    """Relative paths of all files that are not hidden; a link into a folder already open is not entered again."""
    seen = {root.resolve()}
    for folder, subfolders, files in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in sorted(subfolders) if not _is_hidden(name)]
        linked = [name for name in subfolders if Path(folder, name).is_symlink()]
        for name in linked:
            real = Path(folder, name).resolve()
            if real in seen or root.resolve().is_relative_to(real):
                subfolders.remove(name)
            seen.add(real)
        for name in files:
            if not _is_hidden(name):
                yield Path(folder, name).relative_to(root).as_posix()


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _unusable(path: str, classes: bool) -> str | None:
    if classes and "/" not in path:
        return "not in a class folder"
    if path != _printable(path):
        return "name is not UTF-8"
    return None


def _printable(path: str) -> str:
    """The path with what is not UTF-8 replaced."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
