"""The folders that the default recipe is measured on: class folders made from data sets that lie beside a working copy.

Nothing of them is in this repository. What is drawn is drawn by a fixed seed: a folder is the same for everybody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _bench import ROOT

PLACE = ROOT / ".twinfolio" / "folders"
"""Folder they are made in, and found again."""
PAGE_PIXELS, PAGE_PATCHES, PAGES = 512, 4, (3, 5)
"""Side of a pasted page, patches on it, and fewest and most pages of a class."""

Classes = Mapping[str, Sequence[Path]]
"""Class -> its files."""


@dataclass(frozen=True)
class Folder:
    """A folder of class folders.

    Attributes:
        name: Its name, and that of its workspace.
        kind: What is on the images.
        source: The data set's name as ``shared/data/unpack`` knows it.
        classes: From the unpacked data set to the files of each class.
        size: Most classes and most images a class; None: everything.
        pages: Paste each class's patches to whole pages.
        group_pattern: Finds the page in a file's name.
    """

    name: str
    kind: str
    source: str
    classes: Callable[[Path], Classes]
    size: tuple[int, int] | None = None
    pages: bool = False
    group_pattern: str | None = None


def folders_below(part: str = "", levels: int = 1) -> Callable[[Path], Classes]:
    """Class folders of ``source/part``: each folder ``levels`` deep is a class, named by its path with ``-``."""

    def classes(source: Path) -> Classes:
        top = source / part
        found = sorted(path for path in top.glob("/".join("*" * levels)) if path.is_dir())
        return {"-".join(path.relative_to(top).parts): sorted(path.iterdir()) for path in found}

    return classes


FOLDERS = {
    folder.name: folder
    for folder in (
        Folder("medieval", "manuscripts", "medieval", folders_below(), group_pattern=r"p\d+"),
        Folder("arabic", "manuscripts", "arabic", folders_below(), group_pattern=r"p\d+"),
        Folder("pages", "whole pages", "medieval", folders_below(), pages=True),
        Folder("objects50", "objects", "objects50", folders_below()),
        Folder("objects5", "objects", "objects50", folders_below(), size=(50, 5)),
        Folder("faces40", "faces", "faces40", folders_below()),
        Folder("faces3", "faces", "faces40", folders_below(), size=(40, 3)),
        Folder("cifar10_100", "tiny photos", "cifar10", folders_below("train"), size=(10, 100)),
        Folder("cifar10_10", "tiny photos", "cifar10", folders_below("train"), size=(10, 10)),
        Folder("mnist_100", "digits", "mnist", folders_below("train"), size=(10, 100)),
        Folder("omniglot_3", "characters", "omniglot", folders_below("images_background", 2), size=(200, 3)),
        Folder("omniglot_10", "characters", "omniglot", folders_below("images_background", 2), size=(200, 10)),
    )
}
"""Name -> folder, in the order of the tables."""


def shared_data(given: Path | None = None) -> Path:
    """The folder of data sets: ``../shared/data``, or ``data`` below what is named.

    Raises:
        SystemExit: It is not there.
    """
    data = (given or ROOT.parent / "shared") / "data"
    if not (data / "unpack").is_file():
        sys.exit(f"{data}: no data sets to make folders from; name the folder that holds data/unpack with --shared")
    return data


def make_folder(folder: Folder, data: Path, place: Path = PLACE) -> Path:
    """Make a folder, or find it made.

    Args:
        folder: Which.
        data: From ``shared_data``.
        place: Where unpacked data sets and folders lie.

    Returns:
        The folder of class folders.
    """
    target = place / folder.name
    if target.is_dir():
        return target
    chosen = draw(folder.classes(unpack(folder.source, data, place)), folder.size)
    part = place / f".{folder.name}.{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    (write_pages if folder.pages else copy_files)(chosen, part)
    part.replace(target)
    return target


def unpack(source: str, data: Path, place: Path) -> Path:
    """A data set as ``shared/data/unpack`` lays it out, unpacked once."""
    target = place / "unpacked" / source
    if not target.is_dir():
        part = target.with_name(f".{source}.{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(data / "unpack"), source, str(part)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        part.replace(target)
    return target


def draw(classes: Classes, size: tuple[int, int] | None, seed: int = 0) -> Classes:
    """At most ``size`` (classes, images of each), drawn; classes with fewer images than asked for come last."""
    if size is None:
        return classes
    draws, (most_classes, most_images) = np.random.default_rng(seed), size
    order = [sorted(classes)[row] for row in draws.permutation(len(classes))]
    order.sort(key=lambda name: len(classes[name]) < most_images)
    taken = {}
    for name in order[:most_classes]:
        files = classes[name]
        rows = draws.permutation(len(files))[:most_images]
        taken[name] = [files[row] for row in sorted(rows)]
    return dict(sorted(taken.items()))


def copy_files(classes: Classes, target: Path) -> None:
    """A class folder for each class."""
    for name, files in classes.items():
        (target / name).mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, target / name / file.name)


def write_pages(classes: Classes, target: Path) -> None:
    """Pages of two by two patches for each class that has enough pages of two or more patches.

    A page with two or three patches shows some of them twice; a page with one would show nothing else, and is left out.
    """
    from PIL import Image

    fewest, most = PAGES
    for name, files in classes.items():
        by_page = patches_by_page(files)
        if len(by_page) < fewest:
            continue
        (target / name).mkdir(parents=True)
        for page, patches in list(by_page.items())[:most]:
            grid = [Image.open(patches[cell % len(patches)]).convert("RGB") for cell in range(PAGE_PATCHES)]
            width, height = grid[0].size
            sheet = Image.new("RGB", (2 * width, 2 * height))
            for cell, patch in enumerate(grid):
                sheet.paste(patch, (width * (cell % 2), height * (cell // 2)))
            sheet = sheet.resize((PAGE_PIXELS, PAGE_PIXELS), Image.Resampling.BICUBIC)
            sheet.save(target / name / f"{page}.jpg", quality=90)


def patches_by_page(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Page (what stands before ``_``) -> its patches, pages of two or more, those with most patches first."""
    pages = defaultdict(list)
    for file in files:
        pages[file.stem.partition("_")[0]].append(file)
    several = {page: patches for page, patches in sorted(pages.items()) if len(patches) > 1}
    return dict(sorted(several.items(), key=lambda item: -min(len(item[1]), PAGE_PATCHES)))
