"""Section ``mtasher_msad``: nets against classical descriptors."""

from __future__ import annotations

from twinfolio.params.section import Count, Section


class MtasherMsadParams(Section):
    """Near-duplicates that ``studies/mtasher_msad`` plants; only that study reads this."""

    originals: Count = 100
    """Images of validation, and as many of test, that are copied once in each way; all where there are fewer."""
    seed: int = 0
    """Seed of the draw."""
