"""Omniglot as a store: alphabets to learn, alphabets to choose by, and the evaluation alphabets, never mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.array_store import Part, write_array_store
from twinfolio.data.sources.omniglot import Drawings
from twinfolio.data.store import StoreInfo
from twinfolio.errors import DataError

POSES = tuple((mirrored, turn) for mirrored in (False, True) for turn in (0, 90, 180, 270))
"""Whether a drawing is mirrored, and then by how many degrees it is turned anticlockwise; first as it was drawn."""


def choose_alphabets(background: Drawings, count: int, ways: int, seed: int) -> list[str]:
    """Alphabets to validate on, drawn among those with enough characters for a trial.

    Args:
        background: Of the background side.
        count: How many.
        ways: Characters a trial needs.
        seed: Of the draw.

    Raises:
        DataError: There are not so many, or none is left to learn from.
    """
    characters: dict[str, set[str]] = {}
    for alphabet, name in zip(background.alphabets, background.classes, strict=True):
        characters.setdefault(alphabet, set()).add(name)
    fit = sorted(alphabet for alphabet, names in characters.items() if len(names) >= ways)
    if len(fit) < count:
        raise DataError(
            f"omniglot: {len(fit)} background alphabets have {ways} characters or more, {count} are to validate on",
            "lower omniglot.validation_alphabets or siamese.validation_ways",
        )
    if len(characters) == count:
        raise DataError(f"omniglot: all {count} background alphabets are to validate on", "leave some to learn from")
    return sorted(np.random.default_rng(seed).permutation(fit)[:count].tolist())


def omniglot_store(
    target: Path,
    sides: Mapping[str, Drawings],
    validation: Sequence[str],
    *,
    size: int,
    poses: int,
    refit: bool = False,
) -> StoreInfo:
    """Write the store: ``train`` and ``val`` are background alphabets, ``test`` is the evaluation side.

    Labels of what is learned come first, then validation's, then evaluation's; names of classes are
    ``ALPHABET/CHARACTER``, and ``ALPHABET@90/CHARACTER`` or ``ALPHABET@mirrored90/CHARACTER`` of characters turned or
    mirrored to make new ones.

    Args:
        target: The store's folder.
        sides: ``background`` and ``evaluation``.
        validation: Background alphabets to validate on.
        size: Side of the rows in pixels.
        poses: In how many of ``POSES``, the first ones, every character is learned, each as another class in another
            alphabet.
        refit: Validation alphabets are to be learned too, in as many poses.

    Raises:
        DataError: An alphabet is on both sides.
    """
    background, evaluation = sides["background"], sides["evaluation"]
    both = set(background.alphabets) & set(evaluation.alphabets)
    if both:
        raise DataError(f"omniglot: {min(both)} is on both sides", "keep each alphabet on one")
    learned = sorted(set(background.alphabets) - set(validation))
    found = {
        "train": _posed(background.of(learned), poses, size),
        "val": _posed(background.of(validation), poses if refit else 1, size),
        "test": _posed(evaluation, 1, size),
    }
    classes = [name for _, names in found.values() for name in sorted({_class_of(one) for one in names})]
    label = {name: number for number, name in enumerate(classes)}
    parts: dict[str, Part] = {
        split: (images, np.array([label[_class_of(name)] for name in names], np.int64))
        for split, (images, names) in found.items()
    }
    return write_array_store(target, parts, classes, {split: names for split, (_, names) in found.items()})


def shrink(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Images (N, S, S) at another size, each pixel the mean of those it covers."""
    import cv2

    if images.shape[1:] == (size, size):
        return images
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images])


def _posed(drawings: Drawings, poses: int, size: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Images and names in each of the first poses."""
    small = shrink(drawings.images, size)
    images, names = [], []
    for mirrored, turn in POSES[:poses]:
        images.append(np.rot90(small[:, :, ::-1] if mirrored else small, turn // 90, axes=(1, 2)))
        pose = f"{'mirrored' if mirrored else ''}{turn or ''}"
        names += [name.replace("/", f"@{pose}/", 1) if pose else name for name in drawings.names]
    return np.concatenate(images), names


def _class_of(name: str) -> str:
    return name.rsplit("/", 1)[0]
