"""Encoders fitted on train, for many settings: key points are looked for once, and words found once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twinfolio.descriptors.bow import BagOfWords
from twinfolio.descriptors.encoder import Encoder, EncoderSpec
from twinfolio.descriptors.local import Extractor, LocalFeatures

Features = dict[str, LocalFeatures]
"""Part -> its key points."""
Words = dict[tuple[Extractor | None, int, int], BagOfWords | None]
"""Words found so far, by key points, number and seed: settings that differ in what they do with them share them."""


def look(spec: EncoderSpec, images: Mapping[str, np.ndarray], workers: int, cache: Path | None) -> Features:
    """Key points of each part.

    Args:
        spec: Says which.
        images: Part -> uint8 (N, H, W, C).
        workers: Threads that look for key points.
        cache: SQLite file of key points; None keeps none.
    """
    encoder = Encoder(spec, workers=workers, cache=cache)
    return {part: encoder.features(of, f"{spec.descriptor} {part}") for part, of in images.items()}


def fit_encoder(
    spec: EncoderSpec, images: Mapping[str, np.ndarray], features: Features, words: Words
) -> tuple[Encoder, dict[str, np.ndarray]]:
    """An encoder fitted on the part ``train``, and the vectors of each part; a hash needs no key points.

    Args:
        spec: How images become vectors.
        images: Part -> uint8 (N, H, W, C).
        features: Part -> its key points.
        words: Those found so far for these images; new ones are added.
    """
    if spec.extractor is None:
        encoder = Encoder(spec)
        return encoder, {part: encoder(of) for part, of in images.items()}
    key = (spec.extractor, spec.words, spec.seed)
    if key not in words:
        words[key] = Encoder(spec).fit_features(features["train"]).bags
    encoder = Encoder(spec, words[key])
    return encoder, {part: encoder.encode(of) for part, of in features.items()}
