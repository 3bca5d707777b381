"""Sections ``compare``, ``train`` and ``evaluate``: from models to numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinfolio.params.section import Count, Fraction, Section


class TrainParams(Section):
    """What becomes of the champion before the one pass over test."""

    refit: bool = False
    """Train it once more, on train and validation, with everything fixed before and thresholds kept."""


class CompareParams(Section):
    """The comparison of distances on validation, which picks the champion."""

    seed: int = 0
    """Seed of the pair lists and of the bootstrap."""
    folds: int = Field(default=5, ge=2)
    """Folds over query groups for cross-fitted thresholds."""
    threshold: Literal["f1", "accuracy"] = "f1"
    """What the threshold maximises on validation."""
    min_positives: Count = 10
    """A class with fewer positive pairs keeps all of them."""
    positives_per_query: Count = 10
    """Positive pairs drawn for each query, and as many negative ones."""
    bootstrap: int = Field(default=1000, ge=100)
    """Resamples behind every interval."""
    confidence: Fraction = 0.95
    """Coverage of the intervals."""


class CalibrateParams(Section):
    """The champion made ready for search on validation: better neighbours, probabilities, unknown classes."""

    seed: int = 0
    """Seed of folds, samples and the bootstrap."""
    folds: int = Field(default=5, ge=2)
    """Folds over query groups when the form of the calibration curve is chosen."""
    false_match_rate: Fraction = 0.05
    """Share of queries of an unknown class that may pass for known ones."""
    coverage: Fraction = 0.9
    """Share of queries whose class must be in their set of classes."""
    bootstrap: int = Field(default=1000, ge=100)
    """Resamples behind every interval."""
    confidence: Fraction = 0.95
    """Coverage of the intervals."""


class EvaluateParams(Section):
    """The one pass over test."""

    seed: int = 0
    """Seed of the pair list and of the bootstrap."""
    bootstrap: int = Field(default=1000, ge=100)
    """Resamples behind every interval."""
    confidence: Fraction = 0.95
    """Coverage of the intervals."""
    positives_per_query: Count = 10
    """Positive pairs drawn for each query, and as many negative ones."""
    min_positives: Count = 10
    """A class with fewer positive pairs keeps all of them."""
    sheet_queries: Count = 8
    """Queries shown on the contact sheet."""
