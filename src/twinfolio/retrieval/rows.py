"""Who the vectors of an index belong to: a table of text columns, without pandas (it takes a second to import)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Text = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Rows:
    """A row a tile (R); every column has R entries of text.

    Attributes:
        image_id: Name of the image.
        tile: Number of the tile in its image, from 0.
        label: Class; empty where it has none.
        group: Page, folio or quire.
        cluster: Near-duplicates share it.
        content: SHA-256 of the image file; empty where it is not known.
        path: ``source/path``: a source of the index and the path below it; empty where it is not known.
    """

    image_id: Text
    tile: Text
    label: Text
    group: Text
    cluster: Text
    content: Text
    path: Text

    def __len__(self) -> int:
        return len(self.image_id)

    @property
    def n_images(self) -> int:
        """Images, of which each has a row a tile."""
        return len(set(self.image_id))

    @property
    def image_of_row(self) -> NDArray[np.int64]:
        """The image of each row, numbered 0.. in the order of their ids (as ``np.unique``)."""
        return np.asarray(np.unique(self.image_id, return_inverse=True)[1], dtype=np.int64)

    def __getitem__(self, which: NDArray[Any]) -> Rows:
        """The rows of a mask or of positions."""
        return Rows(*(getattr(self, name)[which] for name in COLUMNS))

    def __add__(self, other: Rows) -> Rows:
        return Rows(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in COLUMNS))

    @classmethod
    def of(cls, records: Sequence[Sequence[str]]) -> Self:
        """From records in the order of ``COLUMNS``."""
        table = np.empty((len(records), len(COLUMNS)), dtype=object)
        if records:
            table[:] = records
        return cls(*(np.ascontiguousarray(column) for column in table.T))

    @classmethod
    def read(cls, path: Path) -> Self:
        """A CSV file with a header; a column that it lacks is empty, others are passed over.

        Raises:
            ValueError: A line has more or fewer fields than the header, or ``image_id`` is missing.
            OSError: The file cannot be read.
        """
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = list(csv.reader(file)) or [[]]
        if "image_id" not in header or any(len(line) != len(header) for line in lines):
            raise ValueError(f"{path}: not a table with image_id")
        columns = dict(zip(header, zip(*lines, strict=True), strict=True)) if lines else {}
        empty = [""] * len(lines)
        return cls(*(np.array(columns.get(name, empty), dtype=object) for name in COLUMNS))

    def write(self, path: Path) -> None:
        """As a CSV file with a header."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(zip(*(getattr(self, name) for name in COLUMNS), strict=True))


COLUMNS = tuple(field.name for field in fields(Rows))
