"""Systems joined: which combinations are tried, their weights by validation, and the joined system itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinfolio.assessment.systems import CLASSIFIER, FROZEN_TRUNK, Embedding, System
from twinfolio.retrieval.joined import MEMBERS, Join, own_vectors, spread_of_cosines, weights_of_spreads
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import Floats, distance_scorer

_SIGN = "+"


@dataclass(frozen=True)
class Part:
    """A system's part in joins.

    Attributes:
        system: The system.
        vectors: Split -> (R, D), whitened where the system whitens, without key points.
        spread: Standard deviation of the cosines of validation with train.
    """

    system: System
    vectors: Mapping[str, Floats]
    spread: float


def part_of(system: System, vectors: Mapping[str, Floats]) -> Part:
    """A system's part in joins, from its embeddings of ``train`` and ``val``."""
    own = {split: _own(system, rows) for split, rows in vectors.items()}
    return Part(system, own, spread_of_cosines(own["val"], own["train"]))


def combinations_tried(distances: Sequence[str], best_distance: str, classical: str | None,
                       others: Sequence[str]) -> list[tuple[str, ...]]:  # fmt: skip
    """The few combinations that are tried, of the systems that are there.

    Args:
        distances: All distances; together they are one combination.
        best_distance: The best of them on validation.
        classical: The best classical system; None without one.
        others: Which of ``classifier`` and ``frozen_trunk`` are there.
    """
    found: list[tuple[str, ...]] = []
    if classical is not None:
        if CLASSIFIER in others:
            found += [(best_distance, CLASSIFIER, classical)]
        found += [(best_distance, classical)]
        found += [(name, classical) for name in (CLASSIFIER, FROZEN_TRUNK) if name in others]
    return [*found, tuple(distances)] if len(distances) > 1 else found


def join_parts(parts: Sequence[Part]) -> tuple[System, dict[str, Floats]]:
    """Join systems, weighted by the inverse of their spreads.

    Args:
        parts: The members, in the order of their vectors.

    Returns:
        The system, named by its members (``l2+vlad_rootsift``), and split -> joined vectors (R, D).
    """
    join = Join(
        tuple(part.system.name for part in parts),
        weights_of_spreads([part.spread for part in parts]),
        tuple(part.vectors["train"].shape[1] for part in parts),
    )
    system = joined_system(_SIGN.join(join.names), join, [part.system for part in parts])
    return system, {split: join.vectors([part.vectors[split] for part in parts]) for split in parts[0].vectors}


def members_of(name: str) -> list[str]:
    """Names of the members of a joined system."""
    return name.split(_SIGN)


def joined_system(name: str, join: Join, members: Sequence[System]) -> System:
    """The joined system of some members, scored by the cosine of joined vectors.

    Its class layer is that of the first member whose vectors have length 1 and that has one.

    Args:
        name: Its name.
        join: Weights and widths, in the order of ``members``.
        members: The systems.
    """
    build = distance_scorer("cosine")

    def save(folder: Path) -> None:
        join.save(folder)
        for member in members:
            if member.save is None:
                raise ValueError(f"{member.name} cannot be saved")
            member.save(folder / MEMBERS / member.name)

    known = [member.pretrained for member in members if member.pretrained is not None]
    return System(
        name=name,
        embed=lambda images: join.vectors([_own(member, member.embed(images)) for member in members]),
        scores=lambda queries, gallery: build(gallery).pairwise(queries),
        classify=_class_layer(join, members),
        pretrained=all(known) if known else None,
        unit=True,
        save=save,
    )


def _class_layer(join: Join, members: Sequence[System]) -> Embedding | None:
    for place, member in enumerate(members):
        if member.classify is not None and member.unit:
            classify = member.classify
            return lambda vectors: np.asarray(classify(join.part(place, vectors)))
    return None


def _own(system: System, rows: Floats) -> Floats:
    return own_vectors(Recipe() if system.search is None else system.search[0], rows)
