"""Notes on a training that did not help: one sentence, with the advice that the data suggest."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from twinfolio.assessment.compare import Comparison
from twinfolio.assessment.joined import members_of
from twinfolio.assessment.systems import CLASSIFIER, COLOUR_HISTOGRAM, FROZEN_TRUNK

logger = logging.getLogger(__name__)

FEW_IMAGES, FEW_GROUPS = 10, 20
"""Fewer training images a class, and fewer validation groups, than these are few."""
_TITLES = {
    FROZEN_TRUNK: f"the untrained trunk ({FROZEN_TRUNK})",
    COLOUR_HISTOGRAM: f"the colour histogram ({COLOUR_HISTOGRAM})",
}


@dataclass(frozen=True)
class DataFacts:
    """Facts behind the advice.

    Attributes:
        images_a_class: Median number of training images of a class.
        has_groups: Whether the data name their groups (pages, folios).
        val_groups: Groups of validation.
    """

    images_a_class: float
    has_groups: bool
    val_groups: int


def untrained_note(unbeaten: list[str], facts: DataFacts) -> list[str]:
    """The sentence, as a list of one; nothing where training beats every baseline.

    Args:
        unbeaten: Of ``frozen_trunk`` and ``colour_histogram`` those that no trained system beats beyond chance.
        facts: Of the data.
    """
    if not unbeaten:
        return []
    named = " or ".join(_TITLES[name] for name in unbeaten)
    advice = []
    if facts.images_a_class < FEW_IMAGES:
        advice.append(f"there are {facts.images_a_class:g} training images a class, and more would help most")
    if not facts.has_groups:
        advice.append("name groups (split.group_pattern or split.groups_file), so that copies of a page do not mislead")
    if facts.val_groups < FEW_GROUPS:
        kind = "groups" if facts.has_groups else "images that are no near-copies of each other"
        advice.append(f"validation has only {facts.val_groups} {kind}, too few to show a small gain")
    told = "; ".join(advice) or "try another trunk or more epochs"
    return [f"On validation training shows no gain over {named} beyond chance: {told}."]


def notes_of(comparison: Comparison) -> list[str]:
    """Notes for users of the champion."""
    present = [name for name in (FROZEN_TRUNK, COLOUR_HISTOGRAM) if name in comparison.judged]
    unbeaten = [baseline for baseline in present if not _training_gains(comparison, baseline)]
    return untrained_note(unbeaten, data_facts(comparison))


def _training_gains(comparison: Comparison, baseline: str) -> bool:
    """Whether a trained system beats a baseline, and, where it joins untrained systems, beats these too."""
    trained = {*comparison.distances, CLASSIFIER}
    for one in comparison.candidates:
        members = set(members_of(one.name))
        rivals = {baseline, *(members - trained)}
        if members & trained and all(comparison.versus(one.name, rival).low > 0 for rival in sorted(rivals)):
            return True
    return False


def data_facts(comparison: Comparison) -> DataFacts:
    """Facts behind the advice, of the data compared."""
    counts = np.unique(comparison.train.items.labels, return_counts=True)[1]
    groups = len(np.unique(comparison.queries.items.groups))
    return DataFacts(float(np.median(counts)), comparison.info.has_groups, groups)


def warn(notes: list[str]) -> None:
    """Log each note as a warning."""
    for note in notes:
        logger.warning("%s", note)
