"""Classes held out of training altogether: what an open-set evaluation asks the archive about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd

from twinfolio.data.linked import Forest
from twinfolio.errors import DataError

_KEY = "split.unknown_classes"


def choose_unknown(frame: pd.DataFrame, wanted: int | Sequence[str], seed: int) -> list[str]:
    """The classes to hold out.

    A number draws among the classes with at least two groups: test queries stem from such classes too, so that known
    and unknown queries differ in nothing else. A draw of n + 1 classes holds the draw of n, and a class more or less in
    the folder changes at most one of them.

    Args:
        frame: Columns ``label`` and ``group``, a row an image.
        wanted: How many, or which.
        seed: Of the draw.

    Returns:
        Their names, sorted.

    Raises:
        DataError: A name is no class, there are fewer classes to draw from than wanted, or fewer than two are left.
    """
    groups = frame.groupby("label")["group"].nunique()
    labels = sorted(groups.index.astype(str))
    if isinstance(wanted, int):
        several = [label for label in labels if groups[label] >= 2]
        if wanted > len(several):
            raise DataError(
                f"{_KEY} = {wanted}: only {len(several)} classes have two groups or more", "lower it, or name classes"
            )
        chosen = sorted(several, key=lambda label: _turn(label, seed))[:wanted]
    else:
        chosen = sorted(set(wanted))
        strangers = [name for name in chosen if name not in groups.index]
        if strangers:
            raise DataError(f"{_KEY}: {strangers[0]} is no class", f"the classes are {', '.join(labels)}")
    if len(labels) - len(chosen) < 2:
        raise DataError(f"{_KEY}: {len(labels) - len(chosen)} of {len(labels)} classes are left", "leave at least two")
    return sorted(chosen)


def copies_of_known(frame: pd.DataFrame, duplicates: pd.DataFrame, unknown: Sequence[str]) -> dict[str, str]:
    """Images of unknown classes whose picture also lies in the folder of a known class.

    Training may have seen such a picture, and the archive rightly finds it: it is no unknown one.

    Args:
        frame: Columns ``image_id`` and ``label``.
        duplicates: See ``duplicates.Duplicates.table``: near-duplicates under two labels are in it too.
        unknown: The unknown classes.

    Returns:
        Image of an unknown class -> an image of a known class that shows the same.
    """
    place = {image_id: index for index, image_id in enumerate(frame["image_id"])}
    forest = Forest(len(frame))
    for a, b in zip(duplicates["a"], duplicates["b"], strict=True):
        forest.join(place[a], place[b])
    picture, held_out = forest.firsts(), frame["label"].isin(unknown).to_numpy()
    shown = dict(zip(picture[~held_out], frame["image_id"][~held_out], strict=True))
    asked = zip(frame["image_id"][held_out], picture[held_out], strict=True)
    return {image_id: shown[number] for image_id, number in asked if number in shown}


def _turn(label: str, seed: int) -> bytes:
    """A class's place in the draw, whichever other classes there are."""
    return hashlib.sha256(f"unknown\n{seed}\n{label}".encode()).digest()
