"""The choice of the champion among all candidates, by validation alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from twinfolio.assessment.judgement import Contrast

Kind = Literal["distance", "classifier", "frozen_trunk", "classical", "joined"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of candidates; of two that are as good the kind named first is preferred."""
MARGIN = 0.005
"""mAP that a candidate may lack to the best and still count as as good."""


@dataclass(frozen=True)
class Candidate:
    """A system that may become the champion.

    Attributes:
        name: The system's.
        kind: What it is.
        mean_ap: Validation retrieval mAP.
        members: Systems it joins; 1 for a single one.
    """

    name: str
    kind: Kind
    mean_ap: float
    members: int = 1


@dataclass(frozen=True)
class Choice:
    """The champion, and the numbers of the rule that named it.

    Attributes:
        champion: The candidate that is used.
        best: The candidate with the highest mAP.
        behind: The best's AP minus the champion's, paired by query; None where the champion is the best.
        preferred_over: The candidates that are as good, in the order of preference.
    """

    champion: Candidate
    best: Candidate
    behind: Contrast | None
    preferred_over: tuple[str, ...]


def choose_champion(candidates: Sequence[Candidate], lead: Callable[[str, str], Contrast]) -> Choice:
    """The most preferred candidate that is as good as the best.

    As good is: within ``MARGIN`` of the best's mAP, and not below it by a paired interval that excludes 0. Preferred
    are the kinds in the order of ``KINDS``, of joined systems those of fewer members, then the higher mAP.

    Args:
        candidates: At least one; of two equal in everything the first is preferred.
        lead: From two names to the first's AP minus the second's.
    """
    best = max(candidates, key=lambda one: _rankable(one.mean_ap))
    leads = {
        one.name: lead(best.name, one.name)
        for one in candidates
        if one is not best and _rankable(best.mean_ap) - _rankable(one.mean_ap) <= MARGIN
    }
    good = [one for one in candidates if one is best or (one.name in leads and not leads[one.name].low > 0)]
    first, *others = sorted(good, key=_preference)
    return Choice(first, best, leads.get(first.name), tuple(one.name for one in others))


def _preference(candidate: Candidate) -> tuple[int, int, float]:
    return KINDS.index(candidate.kind), candidate.members, -_rankable(candidate.mean_ap)


def _rankable(mean_ap: float) -> float:
    """A mAP that does not exist is below all others."""
    return mean_ap if math.isfinite(mean_ap) else -1.0
