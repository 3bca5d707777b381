"""Section ``classical``: the systems that learn no trunk, shown beside those that do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twinfolio.params.section import Count, Distance, Factor, Fraction, Section, Share

ClassicalName = Literal[
    "bow_orb", "bow_rootsift", "bow_surf", "vlad_orb", "vlad_rootsift", "vlad_surf",
    "bow_orb_matched", "bow_rootsift_matched", "bow_surf_matched",
    "vlad_orb_matched", "vlad_rootsift_matched", "vlad_surf_matched",
    "ahash", "dhash", "phash", "whash",
]  # fmt: skip


class ClassicalParams(Section):
    """Bags of words, VLAD and hashes: fitted on train, set by validation; each list is a small grid."""

    systems: list[ClassicalName] = Field(default=[])
    """Which: ``bow`` or ``vlad`` of ``orb``, ``rootsift`` or ``surf``, with ``_matched`` re-ranked by matched key
    points; or a hash. An empty list compares none."""
    seed: int = 0
    """Seed of the vocabularies."""
    most: list[Count] = Field(default=[500], min_length=1)
    """Most key points an image."""
    enlarge: list[Factor] = Field(default=[1.0], min_length=1)
    """Factors by which rows are enlarged before key points are looked for."""
    bow_words: list[Count] = Field(default=[256, 1024], min_length=1)
    """Visual words of a bag."""
    bow_distances: list[Distance] = Field(default=["l1", "cosine"], min_length=1)
    """What compares bags; ``l2`` orders them, which are of norm 1 then, as ``cosine`` does."""
    vlad_words: list[Count] = Field(default=[64], min_length=1)
    """Visual words of a VLAD."""
    powers: list[Share] = Field(default=[0.5], min_length=1)
    """Exponents of a VLAD's values."""
    whiten: list[Annotated[int, Field(ge=0)]] = Field(default=[0, 64], min_length=1)
    """Dimensions that a whitening of a VLAD keeps; 0: none."""
    matched: Count = 200
    """Key points an image that are matched in a re-ranking."""
    candidates: Count = 100
    """Images that are ranked again."""
    weights: list[Fraction] = Field(default=[0.05, 0.1, 0.2], min_length=1)
    """What matches count: a candidate's score grows by weight * log(1 + matches)."""
    workers: Count | None = None
    """Threads that look for key points; null: one a core."""
