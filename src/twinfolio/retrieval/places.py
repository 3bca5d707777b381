"""Where a score comes from: the exact split of a pair's similarity into places of both images.

An average-pooled embedder with a linear projection is a mean over places, e = 1/(h w) sum_ij p_ij, p_ij = P f_ij + b,
and so is the unit vector x = e / |e|. A score that is linear in x while the other image stands still, <x, s>, is
therefore sum_ij <p_ij, s> / (h w |e|): nothing is approximated, no gradient is taken, and the map sums to the score
(Stylianou et al. 2019, "Visualizing deep similarity networks", for the cosine and average pooling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import ModelError
from twinfolio.retrieval.scorers import EPS, Floats

Doubles = NDArray[np.float64]
Directions = Callable[[Doubles, Doubles], tuple[Doubles, Doubles]]


@dataclass(frozen=True)
class Split:
    """How the score of a head splits into places.

    Attributes:
        measure: What the maps sum to, in words for a legend.
        each: Each of the two maps sums to it (the score is bilinear); else both maps together do.
        unit: The embeddings are brought to length 1 first.
        directions: From the two embeddings (D,), (D,) to the vectors that the places of each are projected on.
    """

    measure: str
    each: bool
    unit: bool
    directions: Directions

    def maps(self, x_places: Floats, y_places: Floats) -> tuple[Floats, Floats]:
        """Maps (h, w) of the first image and of the second, positive where a place speaks for the match.

        Args:
            x_places: (D, h, w), whose mean is the embedding before it is normalised.
            y_places: (D, h', w').

        Raises:
            ModelError: The places have another width.
        """
        if len(x_places) != len(y_places):
            raise ModelError(f"places of {len(x_places)} and of {len(y_places)} numbers", "embed both with one model")
        x, y = (scaled(places, unit=self.unit) for places in (x_places, y_places))
        to_x, to_y = self.directions(x.sum((1, 2)), y.sum((1, 2)))
        return _project(x, to_x), _project(y, to_y)

    def total(self, x_map: Floats, y_map: Floats) -> float:
        """The number ``measure`` that two maps stand for."""
        first, second = (float(part.sum(dtype=np.float64)) for part in (x_map, y_map))
        return (first + second) / (2 if self.each else 1)


def scaled(places: Floats, *, unit: bool) -> Doubles:
    """Places (D, h, w) in double precision that sum, not average, to the embedding; at length 1 where ``unit``."""
    parts = places.astype(np.float64) / (places.shape[1] * places.shape[2])
    length = max(float(np.linalg.norm(parts.sum((1, 2)))), EPS) if unit else 1.0
    return np.asarray(parts / length)


def head_split(
    kind: str | None, distance: str | None, *, normalise: bool, weight: Floats | None = None
) -> Split | None:
    """The split that is drawn for a head; None for the fusion head, whose hidden layer is not linear.

    A difference is made of what each image is alone and of what both make together, and only the latter says why they
    match: (x - y)^2 = x^2 + y^2 - 2 x y, and |x - y| = |x| + |y| - 2 m with the overlap m = min(|x|, |y|) where signs
    agree, else 0. Maps split this common part: the cosine (L2 of unit vectors ranks by it: d^2 = 2 - 2 cos), the
    product or the overlap, weighted as the head weighs it; each of the two maps sums to it. ``difference_split`` splits
    the distance itself; its maps blame a place for being strong, and L1's did worse than chance under deletion.

    Args:
        kind: ``distance``, ``weighted``, ``fusion``; None for the cosine of a model without a head.
        distance: ``l1``, ``l2`` or ``cosine``.
        normalise: Whether the embeddings have length 1.
        weight: (D,), of the ``weighted`` head.
    """
    if kind is None or (kind == "distance" and (distance == "cosine" or (distance == "l2" and normalise))):
        return Split("the cosine", each=True, unit=True, directions=_product(1.0))
    if kind not in ("distance", "weighted"):
        return None
    weights: Doubles | float = _head_weight(weight) if kind == "weighted" else -1.0
    if distance == "cosine":
        return Split("the score without its constant", each=True, unit=True, directions=_product(weights))
    prefix = "the weighted" if kind == "weighted" else "the"
    if distance == "l1":
        return Split(f"{prefix} overlap of the embeddings", each=True, unit=normalise, directions=_overlap(-weights))
    return Split(f"{prefix} product of the embeddings", each=True, unit=normalise, directions=_product(-weights))


def difference_split(distance: str, *, normalise: bool, weight: Floats | None = None) -> Split:
    """The exact split of minus a distance, or of a weighted head's score without bias; both maps together sum to it.

    d = sum_A <a_ij, s> - sum_B <b_ij, s>, with s the sign (L1) or the direction (L2) of x - y: a place's share says how
    far it carries its own image away from the other one.

    Args:
        distance: ``l1`` or ``l2``; with a weight ``l2`` is the squared difference, as in the head.
        normalise: Whether the embeddings have length 1.
        weight: (D,), of a ``weighted`` head; None for the distance.
    """
    weights = None if weight is None else weight.astype(np.float64)

    def directions(x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        difference = x - y
        direction = np.sign(difference) if distance == "l1" else difference
        if weights is not None:
            direction = weights * direction
        elif distance == "l1":
            direction = -direction
        else:
            direction = -direction / max(float(np.linalg.norm(difference)), EPS)
        return direction, -direction

    measure = f"minus the {distance.upper()} distance" if weight is None else "the score without its constant"
    return Split(measure, each=False, unit=normalise, directions=directions)


def pair_split(x_places: Floats, y_places: Floats) -> Floats:
    """The cosine over all pairs of places (h w, h' w'): entry (i, j) is what place i of A and place j of B share.

    Rows sum to the first map of the cosine's ``Split``, columns to the second, everything to the cosine.

    Args:
        x_places: (D, h, w).
        y_places: (D, h', w').
    """
    x, y = (scaled(places, unit=True).reshape(len(places), -1) for places in (x_places, y_places))
    return np.asarray(x.T @ y, dtype=np.float32)


class Correspondence(NamedTuple):
    """A place of the first image, a place of the second (row, column), and their part of the cosine."""

    first: tuple[int, int]
    second: tuple[int, int]
    share: float


def correspondences(x_places: Floats, y_places: Floats, k: int) -> list[Correspondence]:
    """Which place matches which: the k largest entries of ``pair_split``, no place twice.

    Args:
        x_places: (D, h, w).
        y_places: (D, h', w').
        k: Pairs wanted; fewer come where places run out.
    """
    left, out = pair_split(x_places, y_places), []
    for _ in range(min(k, *left.shape)):
        i, j = divmod(int(left.argmax()), left.shape[1])
        first, second = divmod(i, x_places.shape[2]), divmod(j, y_places.shape[2])
        out.append(Correspondence(first, second, float(left[i, j])))
        left[i], left[:, j] = -np.inf, -np.inf
    return out


def _head_weight(weight: Floats | None) -> Doubles:
    if weight is None:
        raise ModelError("the weighted head's weight is missing", "give its weight, (D,)")
    return weight.astype(np.float64)


def _product(weight: Doubles | float) -> Directions:
    """sum_j w_j x_j y_j."""
    return lambda x, y: (weight * y, weight * x)


def _overlap(weight: Doubles | float) -> Directions:
    """sum_j w_j m_j: an image's places share m_j in proportion to what they add to its x_j."""

    def directions(x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        overlap = weight * np.where(x * y > 0, np.minimum(np.abs(x), np.abs(y)), 0.0)
        # where an entry is 0 the overlap is 0 too
        return overlap / np.where(x == 0, 1.0, x), overlap / np.where(y == 0, 1.0, y)

    return directions


def _project(places: Doubles, direction: Doubles) -> Floats:
    return np.asarray(np.einsum("dhw,d->hw", places, direction), dtype=np.float32)
