"""Omniglot (Lake, Salakhutdinov & Tenenbaum 2015): drawings of 1,623 characters, and its 20 official one-shot runs."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import DataError

SIZE = 105
"""Side of an image, in pixels."""
SIDES = ("background", "evaluation")
RUNS, RUN_CLASSES = 20, 20
SMALL = {
    "small1": ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"),
    "small2": ("Greek", "Japanese_(katakana)", "Latin", "Sanskrit", "Tagalog"),
}
"""The five-alphabet background sets of the original repository."""
CLASSES_SHA256 = {
    "background": "eff2099ff10509262dc1b517662d0842b07ae4bad9d427aeb1e5291f1fb761ef",
    "evaluation": "d6766f41d9c8fea1d2aab9ec6fb357b2f0c84cc80aaf6c4ab5f12016c01f6fa3",
}
"""``class_hash`` of the 964 background and the 659 evaluation characters."""
_IMAGE = re.compile(r"(?:.*/)?images_(background|evaluation)/([^/]+)/([^/]+)/(\d+)_(\d+)\.png")
_SIDE = re.compile(r"(?:.*/)?images_(?:background|evaluation)/")
_LABEL = re.compile(r"(run\d\d)/test/(item\d\d)\.png (run\d\d)/training/(class\d\d)\.png")


@dataclass(frozen=True)
class Drawings:
    """The images of one side.

    Attributes:
        images: uint8 (N, 105, 105), ink 255 on 0.
        names: (N,) ``ALPHABET/CHARACTER/NNNN_NN``: the number of the character and of the drawer.
    """

    images: NDArray[np.uint8]
    names: list[str]

    @property
    def classes(self) -> list[str]:
        """``ALPHABET/CHARACTER`` of each image."""
        return [name.rsplit("/", 1)[0] for name in self.names]

    @property
    def alphabets(self) -> list[str]:
        """Alphabet of each image."""
        return [name.split("/", 1)[0] for name in self.names]

    @property
    def drawers(self) -> list[str]:
        """Drawer of each image, by the number that ends its file's name."""
        return [name.rsplit("_", 1)[1] for name in self.names]

    @property
    def facts(self) -> dict[str, Any]:
        """Alphabets, numbers of classes and images, and the hash of the classes."""
        classes = set(self.classes)
        return {
            "alphabets": sorted(set(self.alphabets)),
            "classes": len(classes),
            "images": len(self.names),
            "hash": class_hash(classes),
        }

    def of(self, alphabets: Iterable[str]) -> Drawings:
        """The images of some alphabets.

        Raises:
            DataError: One of them is not here.
        """
        wanted, there = set(alphabets), set(self.alphabets)
        if not wanted <= there:
            missing = min(wanted - there)
            raise DataError(f"omniglot: no alphabet {missing}", f"choose of {', '.join(sorted(there))}")
        rows = [row for row, alphabet in enumerate(self.alphabets) if alphabet in wanted]
        return Drawings(self.images[rows], [self.names[row] for row in rows])


@dataclass(frozen=True)
class Runs:
    """The official runs: 20 times 20 queries among 20 characters of one alphabet, drawn by two people.

    Attributes:
        images: uint8 (800, 105, 105), ink 255 on 0: a run's 20 training images, then its 20 test images.
        names: (800,) ``RUN/training/classNN`` and ``RUN/test/itemNN``.
        families: (400,) run of each trial.
        queries: (400,) image asked about.
        answers: (400,) its class among the run's 20.
        support: (400, 20, 1) the run's training images.
    """

    images: NDArray[np.uint8]
    names: list[str]
    families: NDArray[np.str_]
    queries: NDArray[np.int64]
    answers: NDArray[np.int64]
    support: NDArray[np.int64]


def class_hash(classes: Iterable[str]) -> str:
    """SHA-256 of a list of ``ALPHABET/CHARACTER``, sorted, each once, a line each."""
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(set(classes))).encode()).hexdigest()


def is_complete(sides: Mapping[str, Drawings]) -> bool:
    """Whether both sides hold exactly Omniglot's characters: only then do numbers compare with published ones."""
    return all(class_hash(sides[side].classes) == CLASSES_SHA256[side] for side in SIDES)


def load_drawings(source: Path) -> tuple[dict[str, Drawings], list[tuple[str, str]]]:
    """Read both sides.

    Args:
        source: A zip file or folder with ``images_background/ALPHABET/CHARACTER/NNNN_NN.png`` and
            ``images_evaluation/...``; a folder with ``images_background.zip`` and ``images_evaluation.zip``, as in the
            original repository; or a folder where torchvision keeps Omniglot.

    Returns:
        ``background`` and ``evaluation``, in the order of their names, and ``(file, reason)`` of each image that cannot
        be read.

    Raises:
        DataError: A side is missing, an image has another size, or folders are mixed up: an alphabet on both sides, a
            character in two folders or two in one.
    """
    found: dict[str, list[tuple[str, NDArray[np.uint8]]]] = {side: [] for side in SIDES}
    left_out = []
    for path, data in _drawing_files(source):
        match = _IMAGE.fullmatch(path)
        if match is None:
            raise DataError(f"{source}: {path} is not ALPHABET/CHARACTER/NNNN_NN.png", "lay the folders out so")
        side, alphabet, character, number, drawer = match.groups()
        image = _decode(data)
        if image is None:
            left_out.append((path, "cannot be decoded"))
        else:
            _check_size(source, path, image)
            found[side].append((f"{alphabet}/{character}/{number}_{drawer}", image))
    for side in SIDES:
        if not found[side]:
            raise DataError(f"{source}: no images_{side}", "give Omniglot as a zip file or a folder with both sides")
    sides = {side: _drawings(found[side]) for side in SIDES}
    _check_folders(source, sides)
    return sides, left_out


def download(cache: Path) -> Path:
    """Let torchvision fetch both sides, and say where they lie.

    Raises:
        DataError: It cannot.
    """
    from torchvision.datasets import Omniglot

    try:
        for background in (True, False):
            Omniglot(str(cache), background=background, download=True)
    except (RuntimeError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0][:120]
        raise DataError(
            f"omniglot: cannot be downloaded ({reason})", "give omniglot.source a zip or a folder"
        ) from None
    return cache / "omniglot-py"


def load_runs(source: Path) -> Runs:
    """Read the official runs.

    Args:
        source: ``all_runs.zip``, or the folder it unpacks to: ``run01`` to ``run20`` with ``training/class01.png`` to
            ``class20.png``, ``test/item01.png`` to ``item20.png`` and ``class_labels.txt``.

    Raises:
        DataError: A run or a part of it is missing, or an image has another size.
    """
    files = dict(_files(source, lambda path: path.endswith((".png", ".txt"))))
    names: list[str] = []
    images, families, queries, answers, support = [], [], [], [], []
    for run in (f"run{number:02d}" for number in range(1, RUNS + 1)):
        parts = [f"{run}/{part}{n:02d}" for part in ("training/class", "test/item") for n in range(1, RUN_CLASSES + 1)]
        start = len(names)
        for name in parts:
            image = _decode(_part(source, files, f"{name}.png"))
            if image is None:
                raise DataError(f"{source}: {name}.png cannot be decoded", "replace it")
            _check_size(source, f"{name}.png", image)
            names.append(name)
            images.append(image)
        for item, answer in enumerate(_answers(source, run, _part(source, files, f"{run}/class_labels.txt"))):
            families.append(run)
            queries.append(start + RUN_CLASSES + item)
            answers.append(answer)
            support.append(np.arange(start, start + RUN_CLASSES)[:, None])
    columns = (np.array(families), np.array(queries), np.array(answers), np.stack(support))
    return Runs(np.stack(images), names, *columns)


def _answers(source: Path, run: str, data: bytes) -> list[int]:
    """For item01 to item20, the number (from 0) of its class."""
    lines = [_LABEL.fullmatch(line.strip()) for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    of_item = {match[2]: int(match[4][-2:]) - 1 for match in lines if match and match[1] == match[3] == run}
    items = [f"item{number:02d}" for number in range(1, RUN_CLASSES + 1)]
    if sorted(of_item) != items or sorted(of_item.values()) != list(range(RUN_CLASSES)):
        raise DataError(f"{source}: {run}/class_labels.txt does not give each of 20 items its class", "replace it")
    return [of_item[item] for item in items]


def _part(source: Path, files: dict[str, bytes], path: str) -> bytes:
    found = next((data for name, data in files.items() if name == path or name.endswith(f"/{path}")), None)
    if found is None:
        raise DataError(f"{source}: {path} is missing", "give all_runs.zip of Omniglot, or its folder, with 20 runs")
    return found


def _drawing_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of what lies on the two sides, sorted."""
    zips = [source / f"images_{side}.zip" for side in SIDES]
    both = source.is_dir() and not any((source / f"images_{side}").is_dir() for side in SIDES)
    for part in zips if both and all(path.is_file() for path in zips) else [source]:
        yield from _files(part, lambda path: path.endswith(".png") and _SIDE.match(path) is not None)


def _files(source: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of the wanted files of a zip file or a folder, sorted; hidden ones do not exist."""
    if source.is_dir():
        paths = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        for name in sorted(name for name in paths if wanted(name) and not _hidden(name)):
            yield name, paths[name].read_bytes()
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for name in sorted(name for name in archive.namelist() if wanted(name) and not _hidden(name)):
                yield name, archive.read(name)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file or folder", "name a zip file or a folder") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{source}: not a zip file ({error})", "name a zip file or a folder") from None


def _hidden(path: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.split("/"))


def _decode(data: bytes) -> NDArray[np.uint8] | None:
    """The image with ink 255 on 0, or None."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return 255 - np.asarray(image.convert("L"))
    except (OSError, SyntaxError, ValueError):
        return None


def _check_size(source: Path, path: str, image: NDArray[np.uint8]) -> None:
    if image.shape != (SIZE, SIZE):
        height, width = image.shape
        raise DataError(f"{source}: {path} is {width} x {height} pixels, not {SIZE} x {SIZE}", "give the originals")


def _drawings(found: list[tuple[str, NDArray[np.uint8]]]) -> Drawings:
    ordered = sorted(found, key=lambda one: one[0])
    return Drawings(np.stack([image for _, image in ordered]), [name for name, _ in ordered])


def _check_folders(source: Path, sides: dict[str, Drawings]) -> None:
    """No alphabet on both sides, and a folder for each character's number."""
    both = set(sides["background"].alphabets) & set(sides["evaluation"].alphabets)
    if both:
        raise DataError(f"{source}: {min(both)} is on both sides", "keep each alphabet on one")
    folder_of: dict[str, str] = {}
    number_of: dict[str, str] = {}
    for side in SIDES:
        for name in sides[side].names:
            folder, file = name.rsplit("/", 1)
            number = file.split("_")[0]
            if folder_of.setdefault(number, folder) != folder:
                raise DataError(f"{source}: character {number} is in {folder_of[number]} and in {folder}", "sort them")
            if number_of.setdefault(folder, number) != number:
                raise DataError(f"{source}: {folder} holds characters {number_of[folder]} and {number}", "sort them")
