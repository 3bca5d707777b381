"""Images judged against each other: folders ``query/`` and ``map/``, and a matrix that says which map shows what.

The matrix is ``relevance.npz`` or ``relevance.h5`` with keys ``sim`` (N, M), 0 or 1, and ``fov`` (N, M), 0 to 1 (either
may be missing), rows and columns in the order of the sorted file names; or ``relevance.csv`` with columns ``query``,
``map``, ``sim`` and ``fov`` by file name, pairs that it does not list being 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twinfolio.data.sources.folder import list_images
from twinfolio.errors import DataError

SIDES = ("query", "map")
KEYS = ("sim", "fov")
FILES = ("relevance.npz", "relevance.h5", "relevance.csv")


@dataclass(frozen=True)
class Judged:
    """N queries, M maps, and how they were judged.

    Attributes:
        queries: Paths below the folder, sorted.
        maps: The same.
        sim: (N, M) whether a map shows what the query shows; where only ``fov`` was judged, whether that is above 0.
        fov: (N, M) share of the view in common, float32; None where it was not judged.
    """

    queries: list[str]
    maps: list[str]
    sim: NDArray[np.bool_]
    fov: NDArray[np.float32] | None

    @property
    def without_relevant(self) -> NDArray[np.bool_]:
        """(N,) queries that no map answers: they are left out of rankings, and counted."""
        return np.asarray(~self.sim.any(axis=1))

    def without(self, names: Iterable[str]) -> Judged:
        """The same without some images: their rows and columns go with them.

        Args:
            names: Paths of queries or maps.
        """
        gone = set(names)
        rows, columns = ([i for i, name in enumerate(side) if name not in gone] for side in (self.queries, self.maps))
        fov = None if self.fov is None else self.fov[np.ix_(rows, columns)]
        queries, maps = [self.queries[row] for row in rows], [self.maps[column] for column in columns]
        return Judged(queries, maps, self.sim[np.ix_(rows, columns)], fov)


def load_judged(folder: Path) -> Judged:
    """List both sides and read the matrix.

    Args:
        folder: With ``query/``, ``map/`` and one of ``FILES``.

    Raises:
        DataError: A side or the matrix is missing; the matrix is of another shape than the images, names an image that
            is not there, holds no ``sim`` and no ``fov``, or values that these cannot have.
    """
    sides = {side: _side(folder, side) for side in SIDES}
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        raise DataError(f"{folder}: no {', '.join(FILES)}", "add the matrix of judgments")
    values = _read_csv(path, sides) if path.suffix == ".csv" else _read_arrays(path)
    if not values:
        raise DataError(f"{path}: holds neither sim nor fov", "name the matrix by one of these keys")
    shape = (len(sides["query"]), len(sides["map"]))
    for key, matrix in values.items():
        _check(path, key, matrix, shape)
    fov = values["fov"].astype(np.float32) if "fov" in values else None
    sim = values["sim"] > 0 if "sim" in values else values["fov"] > 0
    return Judged(sides["query"], sides["map"], sim, fov)


def _side(folder: Path, side: str) -> list[str]:
    """Images of one side, hidden files apart."""
    found = [f"{side}/{path}" for path in list_images(folder / side, classes=False).paths]
    if not found:
        raise DataError(f"{folder / side}: no image", f"put the {side} images there")
    return found


def _read_arrays(path: Path) -> dict[str, NDArray[np.float64]]:
    """The matrices of an ``.npz`` or ``.h5`` file."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {key: np.asarray(file[key], np.float64) for key in KEYS if key in file}
        import h5py

        with h5py.File(path) as file:
            return {key: np.asarray(file[key], np.float64) for key in KEYS if key in file}
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})", "write it again") from None


def _read_csv(path: Path, sides: Mapping[str, list[str]]) -> dict[str, NDArray[np.float64]]:
    """The matrices of a list of pairs."""
    try:
        table = pd.read_csv(path, dtype={"query": str, "map": str})
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no CSV ({error})", "write columns query, map and sim or fov") from None
    if not {"query", "map"} <= set(table):
        raise DataError(f"{path}: has no columns query and map", "name them in its first line")
    place: dict[str, NDArray[np.int64]] = {}
    for side in SIDES:
        rows = pd.Index(sides[side]).get_indexer(pd.Index([f"{side}/{name}" for name in table[side]]))
        if (rows < 0).any():
            raise DataError(
                f"{path}: {side} {table[side][int(np.argmin(rows))]} is no image there", "add it, or drop it"
            )
        place[side] = rows
    if table.duplicated(["query", "map"]).any():
        twice = table[table.duplicated(["query", "map"])].iloc[0]
        raise DataError(f"{path}: {twice['query']} and {twice['map']} are judged twice", "keep one judgment")
    found = {}
    for key in (key for key in KEYS if key in table):
        numbers = pd.to_numeric(table[key], errors="coerce").to_numpy(np.float64)
        found[key] = np.zeros((len(sides["query"]), len(sides["map"])))
        found[key][place["query"], place["map"]] = numbers
    return found


def _check(path: Path, key: str, matrix: NDArray[np.float64], shape: tuple[int, int]) -> None:
    """Shape and values of one matrix."""
    if matrix.shape != shape:
        raise DataError(
            f"{path}: {key} is {' x '.join(map(str, matrix.shape))}, there are {shape[0]} queries and {shape[1]} maps",
            "a row a query and a column a map, in the order of their names",
        )
    if not ((matrix >= 0) & (matrix <= 1)).all():
        raise DataError(f"{path}: {key} holds a value that is not between 0 and 1", "mend it")
    if key == "sim" and not np.isin(matrix, (0, 1)).all():
        odd = matrix[~np.isin(matrix, (0, 1))][0]
        raise DataError(f"{path}: sim holds {odd:g}", "judge by 0 or 1, or name the matrix fov")
