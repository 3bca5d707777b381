"""Joined systems: the unit vectors of several systems side by side, weighted so that one cosine adds theirs.

With each member's unit vector scaled by the root of its weight, and weights that sum to 1, the cosine of two joined
vectors is the weighted mean of the members' cosines (score fusion by a weighted sum, Kittler et al. 1998, section 2).

Layout of a saved one::

    joined.json       names, weights and widths of the members, in the order of their vectors
    members/<name>/   a folder a member, as its own kind of system is kept
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinfolio.errors import ModelError
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import Floats, unit_rows

JSON, MEMBERS = "joined.json", "members"
_LEAST_SPREAD = 1e-6
_QUERIES = 1000
_BLOCK = 128


@dataclass(frozen=True)
class Join:
    """Members of a joined system, their order and weights.

    Attributes:
        names: The members.
        weights: Of each in the score; they sum to 1.
        widths: Columns of each in a joined vector.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    widths: tuple[int, ...]

    def vectors(self, parts: Sequence[Floats]) -> Floats:
        """Joined vectors (N, D) of the members' vectors, each (N, D_i)."""
        scaled = [np.sqrt(weight) * unit_rows(part) for weight, part in zip(self.weights, parts, strict=True)]
        return np.hstack(scaled).astype(np.float32)

    def part(self, place: int, vectors: Floats) -> Floats:
        """The unit vectors (N, D_i) of one member in joined vectors (N, D)."""
        start = sum(self.widths[:place])
        own = vectors[:, start : start + self.widths[place]]
        return np.asarray(own / np.sqrt(self.weights[place]), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write ``joined.json``."""
        members = [
            {"name": name, "weight": weight, "width": width}
            for name, weight, width in zip(self.names, self.weights, self.widths, strict=True)
        ]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / JSON).write_text(json.dumps({"members": members}, indent=1) + "\n", encoding="utf-8")


def load_join(folder: Path) -> Join:
    """Read ``joined.json``.

    Raises:
        ModelError: It is missing or damaged.
    """
    try:
        members = json.loads((folder / JSON).read_text(encoding="utf-8"))["members"]
        columns = [tuple(member[key] for member in members) for key in ("name", "weight", "width")]
        join = Join(columns[0], tuple(map(float, columns[1])), tuple(map(int, columns[2])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / JSON}: missing or damaged ({error})", "write the folder anew") from None
    if not join.names or min(join.weights) <= 0 or min(join.widths) < 1:
        raise ModelError(f"{folder / JSON}: no members, or weights or widths not above 0", "write the folder anew")
    return join


def own_vectors(recipe: Recipe, rows: Floats) -> Floats:
    """A member's vectors in a join, whitened where it whitens them, without key points."""
    vectors = recipe.vectors_of(rows)
    return vectors if recipe.whitening is None else recipe.whitening.apply(vectors)


def spread_of_cosines(queries: Floats, gallery: Floats) -> float:
    """Standard deviation of the cosines of queries (N, D), at most a thousand of them, with a gallery (M, D)."""
    chosen = unit_rows(queries[:: max(1, -(-len(queries) // _QUERIES))])
    others = unit_rows(gallery)
    sums = np.zeros(2)
    for start in range(0, len(chosen), _BLOCK):
        cosines = (chosen[start : start + _BLOCK] @ others.T).astype(np.float64)
        sums += cosines.sum(), (cosines**2).sum()
    mean, square = sums / (len(chosen) * len(others))
    return float(np.sqrt(max(square - mean**2, 0.0)))


def weights_of_spreads(spreads: Sequence[float]) -> tuple[float, ...]:
    """Weights that sum to 1 and add scores as if each had been divided by its standard deviation."""
    inverse = 1 / np.maximum(np.asarray(spreads, dtype=np.float64), _LEAST_SPREAD)
    return tuple(float(weight) for weight in inverse / inverse.sum())
