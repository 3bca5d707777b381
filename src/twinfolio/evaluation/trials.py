"""N-way K-shot trials: drawn, and kept in a file.

A trial shows one query and N classes by K images each. Sources: Lake, Salakhutdinov & Tenenbaum 2015 (20-way one-shot
within an alphabet); Koch, Zemel & Salakhutdinov 2015, section 4.2.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinfolio.errors import DataError
from twinfolio.evaluation.arrays import Integers, codes, same_length

_FACTS = ("family", "query", "answer")


@dataclass(frozen=True)
class Trials:
    """T trials; images are numbers into whatever list of images they were drawn from.

    Attributes:
        families: (T,) what each trial's classes belong to: an alphabet, a run, a collection.
        queries: (T,) image asked about.
        answers: (T,) position, 0 to N - 1, of its class among the N.
        support: (T, N, K) images that show the classes.
    """

    families: NDArray[np.str_]
    queries: Integers
    answers: Integers
    support: Integers

    def __post_init__(self) -> None:
        same_length(families=self.families, queries=self.queries, answers=self.answers, support=self.support)

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def ways(self) -> int:
        """N."""
        return int(self.support.shape[1])

    @property
    def shots(self) -> int:
        """K."""
        return int(self.support.shape[2])


def draw_trials(
    labels: ArrayLike,
    families: ArrayLike,
    groups: ArrayLike,
    *,
    ways: int,
    shots: int = 1,
    per_family: int,
    seed: int,
) -> Trials:
    """Draw the same number of trials from every family, all classes of a trial from one family.

    Classes are asked about in turn, so that each is the answer as often as any other to within one; the query is of
    another group (page, writer) than the images that show its class; positions are shuffled. A family's trials depend
    on the seed and its name alone.

    Args:
        labels: (M,) class of each image; two families may not share one.
        families: (M,) family of each image; one name for all of them draws across families.
        groups: (M,) group of each image; its own number where images are independent.
        ways: N.
        shots: K.
        per_family: Trials a family.
        seed: Of the draw.

    Raises:
        DataError: No images; or a family has fewer than N classes with K images, or none whose query finds K images of
            other groups.
    """
    names = np.asarray(families, dtype=np.str_)
    if not len(names):
        raise DataError("no images to draw trials from", "give some")
    of_class, of_group = codes(labels, groups)
    same_length(labels=of_class, families=names, groups=of_group)
    drawn = []
    for name in np.unique(names):
        family = _Family(str(name), np.flatnonzero(names == name), of_class, of_group, ways, shots)
        generator = np.random.default_rng([seed, zlib.crc32(str(name).encode())])
        drawn += [(name, *trial) for trial in family.draw(per_family, generator)]
    named, queries, answers, support = zip(*drawn, strict=True)
    return Trials(np.array(named, np.str_), np.array(queries), np.array(answers), np.stack(support))


class _Family:
    """The classes of one family and their images."""

    def __init__(self, name: str, images: Integers, labels: Integers, groups: Integers, ways: int, shots: int) -> None:
        self.name, self.ways, self.shots, self.groups = name, ways, shots, groups
        of_class = {label: images[labels[images] == label] for label in np.unique(labels[images])}
        self.images = {label: own for label, own in of_class.items() if len(own) >= shots}
        if len(self.images) < ways:
            raise DataError(
                f"{name}: {len(self.images)} classes with {shots} or more images, {ways}-way trials need {ways}",
                "ask for fewer ways, or leave it out",
            )
        self.queries = {label: self._askable(own) for label, own in self.images.items()}
        self.asked = [label for label, own in self.queries.items() if len(own)]
        if not self.asked:
            raise DataError(
                f"{name}: no class shows {shots} images besides a query of another page or group", "ask for fewer shots"
            )

    def _askable(self, images: Integers) -> Integers:
        """Those of a class's images to which other groups leave K images."""
        others = (self.groups[images][:, None] != self.groups[images][None, :]).sum(axis=1)
        kept: Integers = images[others >= self.shots]
        return kept

    def draw(self, count: int, generator: np.random.Generator) -> list[tuple[int, int, Integers]]:
        """Query, answer and support (N, K) of each trial."""
        rounds = [generator.permutation(self.asked) for _ in range(-(-count // len(self.asked)))]
        return [self._trial(int(label), generator) for label in np.concatenate(rounds)[:count]]

    def _trial(self, label: int, generator: np.random.Generator) -> tuple[int, int, Integers]:
        query = int(generator.choice(self.queries[label]))
        others = np.array([other for other in self.images if other != label])
        shown = np.insert(generator.choice(others, self.ways - 1, replace=False), 0, label)
        shown = generator.permutation(shown)
        support = [self._shots(int(one), query if one == label else None, generator) for one in shown]
        return query, int(np.flatnonzero(shown == label)[0]), np.stack(support)

    def _shots(self, label: int, query: int | None, generator: np.random.Generator) -> Integers:
        images = self.images[label]
        if query is not None:
            images = images[self.groups[images] != self.groups[query]]
        return generator.choice(images, self.shots, replace=False)


def write_trials(trials: Trials, names: Sequence[str], path: Path) -> None:
    """Freeze trials as CSV, a line a trial: family, query, answer, then the support, class by class.

    Args:
        trials: The trials.
        names: Name of each image, by its number; a name, not a place in a list, is what lasts.
        path: The file.
    """
    shown = [f"class{way + 1:02d}_{shot + 1}" for way in range(trials.ways) for shot in range(trials.shots)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_FACTS, *shown])
        rows = zip(trials.families, trials.queries, trials.answers, trials.support, strict=True)
        for family, query, answer, support in rows:
            writer.writerow([family, names[query], answer, *(names[image] for image in support.ravel())])


def read_trials(path: Path, names: Sequence[str]) -> Trials:
    """Read frozen trials.

    Args:
        path: A file of ``write_trials``.
        names: Name of each image there is.

    Raises:
        DataError: No such file, no trials, or an image that is not there.
    """
    numbers = {name: number for number, name in enumerate(names)}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
        ways, shots = (int(part) for part in header[-1].removeprefix("class").split("_"))
        families = np.array([line[0] for line in lines], np.str_)
        answers = np.array([int(line[2]) for line in lines], np.int64)
        images = np.array([[numbers[name] for name in (line[1], *line[3:])] for line in lines], np.int64)
        trials = Trials(families, images[:, 0], answers, images[:, 1:].reshape(-1, ways, shots))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", "name a CSV of trials") from None
    except KeyError as error:
        raise DataError(
            f"{path}: image {error.args[0]} is not among these", "give the images it was drawn from"
        ) from None
    except (ValueError, IndexError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{path}: not a file of trials", "give one that was written with trials") from None
    if not ((answers >= 0) & (answers < ways)).all():
        raise DataError(f"{path}: an answer that is none of the {ways} classes", "answers count from 0")
    return trials
