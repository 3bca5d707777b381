"""N-way K-shot trials of a model folder on images it has never seen, in any folder of class folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.groups import groups_from_pattern
from twinfolio.data.sources.folder import list_images
from twinfolio.errors import DataError, ModelError
from twinfolio.evaluation.arrays import Floats
from twinfolio.evaluation.oneshot import Support, trial_credit, trial_scores
from twinfolio.evaluation.trials import Trials
from twinfolio.serving.program import Program
from twinfolio.serving.reading import content_hash, embed_all

WHOLE = "all"
"""The one family of a folder without families."""
Complain = Callable[[str], None]


@dataclass(frozen=True)
class Collection:
    """Images of classes, and families of classes where there are some.

    Attributes:
        names: (M,) paths below the folder, with ``/``.
        classes: (M,) class folder of each image, with its family's where there are families.
        families: (M,) family folder of each image, or ``all``.
    """

    names: list[str]
    classes: list[str]
    families: list[str]

    def take(self, kept: Sequence[bool]) -> Collection:
        """The images that are kept."""
        columns = (self.names, self.classes, self.families)
        return Collection(*([value for value, keep in zip(column, kept, strict=True) if keep] for column in columns))


def list_collection(folder: Path, families: bool, complain: Complain) -> Collection:
    """The images below class folders, or below class folders in family folders.

    Args:
        folder: The folder.
        families: Class folders lie in family folders (alphabets, collections).
        complain: Told of each image that lies elsewhere or cannot be used.

    Raises:
        DataError: No folder, or no image where images should lie.
    """
    listing = list_images(folder)
    for path, reason in listing.left_out:
        complain(f"{folder / path}: {reason}")
    depth = 2 if families else 1
    parts = [path.split("/") for path in listing.paths]
    for path, part in zip(listing.paths, parts, strict=True):
        if len(part) <= depth:
            complain(f"{folder / path}: not in a class folder of a family")
    used = [(path, part) for path, part in zip(listing.paths, parts, strict=True) if len(part) > depth]
    if not used:
        wanted = "FAMILY/CLASS/IMAGE" if families else "CLASS/IMAGE"
        raise DataError(f"{folder}: no image lies at {wanted}", "name a folder that is laid out so")
    classes = ["/".join(part[:depth]) for _, part in used]
    return Collection([path for path, _ in used], classes, [part[0] if families else WHOLE for _, part in used])


def group_images(folder: Path, collection: Collection, pattern: str | None) -> list[str]:
    """Group (M,) of each image: what a pattern finds in its path, else its content, so that no copy answers for it.

    Raises:
        DataError: The pattern matches no path.
        UnreadableImageError: A file cannot be opened.
    """
    contents = [content_hash(folder / name) for name in collection.names]
    return contents if pattern is None else groups_from_pattern(collection.names, contents, pattern)


@dataclass(frozen=True)
class Embedded:
    """The images of a collection that could be read, and their embeddings: each (t, D), a row a tile."""

    collection: Collection
    vectors: list[NDArray[np.float32]]


def embed_collection(folder: Path, collection: Collection, program: Program, complain: Complain) -> Embedded:
    """Embed every image; what cannot be read is told and left out.

    Raises:
        DataError: None could be read.
    """
    paths = [folder / name for name in collection.names]
    vectors, kept = [], []
    for one in embed_all(paths, program.rendering, program.embed):
        kept.append(one.reason is None)
        if one.reason is None:
            vectors.append(one.vectors)
        else:
            complain(f"{one.path}: {one.reason}")
    if not vectors:
        raise DataError(f"{folder}: none of {len(paths)} images could be read", "name a folder that holds some")
    return Embedded(collection.take(kept), vectors)


def known_classes(collection: Collection, program: Program) -> list[str]:
    """Classes of the collection that the model was trained on, by name: trials with them are no one-shot trials."""
    last = {name.rsplit("/", 1)[-1] for name in collection.classes}
    return sorted(last & set(program.classes))


def credit_of(trials: Trials, embedded: Embedded, program: Program, support: Support) -> Floats:
    """Credit (T,) of each trial by the model's own head.

    Args:
        trials: Over the collection's images.
        embedded: Their embeddings.
        program: The model.
        support: What is averaged over a class's K images.

    Raises:
        ModelError: Rows that end in key points are to be averaged.
    """
    if support == "embedding" and program.recipe.matched is not None:
        raise ModelError(f"{program.folder}: no mean of key points matches others", "choose --support score")
    unit = program.config["normalise"]
    scores = trial_scores(trials, embedded.vectors, program.pairwise, support, unit=unit)
    return trial_credit(scores, trials.answers)
