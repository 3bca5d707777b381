"""Augmented copies of single images, made once when the store is written: the only file importing albumentations.

2.0.8 is that library's last MIT release; a successor would replace this file alone.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for a newer release at import

import albumentations as A

from twinfolio.data.store import Policy

EDGE: dict[str, Any] = {"border_mode": cv2.BORDER_REPLICATE}


def _pages() -> list[Any]:
    """Another photograph of the page: no flips (script has a direction), paper and ink keep their hue."""
    return [
        A.Affine(rotate=(-4, 4), scale=(0.98, 1.12), shear=(-4, 4), translate_percent=(-0.03, 0.03), p=0.9, **EDGE),
        A.Perspective(scale=(0.01, 0.05), p=0.4, **EDGE),
        A.ElasticTransform(alpha=14, sigma=6, p=0.3, **EDGE),
        A.RandomBrightnessContrast(brightness_limit=(-0.15, 0.15), contrast_limit=(-0.35, 0.15), p=0.8),
        A.Illumination(intensity_range=(0.05, 0.2), p=0.4),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.0), p=0.25),
        A.GaussNoise(std_range=(0.01, 0.05), p=0.3),
        A.ImageCompression(quality_range=(40, 90), p=0.3),
    ]


def _characters() -> list[Any]:
    """Another drawing of the character: geometry only."""
    return [
        A.Affine(rotate=(-12, 12), scale=(0.85, 1.15), shear=(-12, 12), translate_percent=(-0.08, 0.08), p=1.0, **EDGE),
        A.ElasticTransform(alpha=20, sigma=6, p=0.3, **EDGE),
    ]


def _photos() -> list[Any]:
    """Another view of the scene; the crop is resized back by ``augment_image``."""
    return [
        A.HorizontalFlip(p=0.5),
        A.CropAndPad(percent=(-0.2, 0.0), keep_size=True, p=0.8),
        A.Affine(rotate=(-8, 8), p=0.3, **EDGE),
        A.ColorJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.7, 1.3), hue=(-0.05, 0.05), p=0.8),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.0), p=0.1),
    ]


POLICIES: dict[str, Callable[[], list[Any]]] = {
    "pages": _pages,
    "characters": _characters,
    "photos": _photos,
    "none": list,
}


def augment_image(image: np.ndarray, policy: Policy, seed: int) -> np.ndarray:
    """An augmented copy of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        policy: Row of ``POLICIES``.
        seed: The same seed gives the same copy, in any process and after any other call.

    Returns:
        (H, W, 3) uint8.
    """
    compose = _compose(policy)
    # set_random_seed would give each transform the same stream, and all of them would be applied together or not at all
    compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
    return np.asarray(compose(image=image)["image"])


def copy_seed(seed: int, image_id: str, tile: int, copy: int) -> int:
    """The seed of one copy: depends on what it is a copy of and on nothing else, so workers cannot matter."""
    digest = hashlib.sha256(f"{seed}\n{image_id}\n{tile}\n{copy}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


@cache
def _compose(policy: Policy) -> Any:
    """The policy's transforms, built once a process."""
    return A.Compose(POLICIES[policy]())
