"""Sections ``compare``, ``train`` and ``evaluate``: from models to numbers."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from twinfolio.params.section import Count, Fraction, Section, Share

Method = Literal["whitening", "views", "query_expansion", "database_augmentation", "reciprocal"]


class TrainParams(Section):
    """Time limit of training, and the refit of the champion before the one pass over test."""

    minutes: float = Field(default=18.0, gt=0)
    """Most minutes of all training stages together, where a section's ``epochs`` is null: 55 % for the classifier,
    whose gains all distances start from, 15 % for each distance. A stage turns its share into a number of rounds once,
    from the time of its first steps, and keeps to it when it is killed and started again."""
    refit: bool = False
    """Train it once more, on train and validation, with everything fixed before and thresholds kept.

    Only where the champion is a distance's model; any other is used as it is, and the log says so.
    """


class NeighboursParams(Section):
    """Better neighbours without training: what is tried on validation; each list is a method's small grid."""

    methods: list[Method] = Field(default=list(get_args(Method)))
    """Methods of the ablation; an empty list keeps the plain ranking."""
    latency_ms: float = Field(default=50.0, ge=1)
    """What a method may add to one query; costs are rounded to 1, 2, 5, 10, ... ms first."""
    repeats: Count = 30
    """Single queries that a time is the median of."""
    dims: list[Count] = Field(default=[64, 128, 256], min_length=1)
    """whitening: dimensions kept; more than the embedding has means all."""
    shrinkage: list[Share] = Field(default=[0.0, 0.1], min_length=1)
    """whitening: share of the identity in the covariance."""
    per_side: list[Count] = Field(default=[2], min_length=1)
    """views: crops along each side beside the whole image; 1: the centre, 2: the corners, 3: nine."""
    crop: list[Fraction] = Field(default=[0.75], min_length=1)
    """views: side of a crop as a share of the image's."""
    neighbours: list[Count] = Field(default=[2, 5], min_length=1)
    """query_expansion, database_augmentation: neighbours that a vector is blended with."""
    alpha: list[Annotated[float, Field(ge=0)]] = Field(default=[1.0, 3.0], min_length=1)
    """query_expansion, database_augmentation: a neighbour's weight is similarity^alpha."""
    k1: list[Count] = Field(default=[10, 20], min_length=1)
    """reciprocal: neighbours whose reciprocity is asked."""
    k2: list[Count] = Field(default=[3, 6], min_length=1)
    """reciprocal: neighbours, the image itself among them, whose encodings are averaged."""
    weight: list[Fraction] = Field(default=[0.3], min_length=1)
    """reciprocal: share of the first similarity in the final one."""
    candidates: Count = 100
    """reciprocal: images that are ranked again."""


class CompareParams(Section):
    """The comparison of all systems on validation, which picks the champion."""

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
    neighbours: NeighboursParams = NeighboursParams()
    """What is tried to make neighbours better."""
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
    explained_pairs: Count = 24
    """Queries whose match with their first answer is explained and put to the deletion test."""
    ways: int = Field(default=20, ge=2)
    """Classes of a trial, at most: which of them does a query show, where ``shots`` images show each?"""
    shots: Count = 1
    """Images that show each class of a trial."""
    trials: Count = 400
    """Trials among test images of learned classes, and as many among images of ``split.unknown_classes``."""
