from __future__ import annotations

import cv2
import numpy as np
import pytest

from twinfolio.data import augmentation
from twinfolio.data.augmentation import POLICIES, augment_image, copy_seed


@pytest.fixture(scope="module")
def page() -> np.ndarray:
    """Paper with script-like strokes in its left half only, so that a flip shows."""
    image = np.full((96, 96, 3), (225, 205, 170), np.uint8)
    for row in range(10, 90, 10):
        cv2.putText(image, "nmwu", (4, row), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 40, 30), 1)
    return image


@pytest.mark.parametrize("policy", POLICIES)
def test_a_copy_keeps_shape_and_type(page, policy):
    copy = augment_image(page, policy, 1)
    assert copy.shape == page.shape
    assert copy.dtype == np.uint8
    assert (policy == "none") == np.array_equal(copy, page)


@pytest.mark.parametrize("policy", ["pages", "characters", "photos"])
def test_a_seed_gives_one_copy_whatever_was_asked_before(page, policy):
    first = augment_image(page, policy, 5)
    others = [augment_image(page, policy, seed) for seed in range(6, 12)]
    assert np.array_equal(augment_image(page, policy, 5), first)
    assert sum(np.array_equal(first, other) for other in others) == 0


def test_the_original_is_not_written_to(page):
    before = page.copy()
    for seed in range(10):
        augment_image(page, "pages", seed)
    assert np.array_equal(page, before)


@pytest.mark.parametrize("policy", ["pages", "characters"])
def test_script_is_never_mirrored(page, policy):
    for seed in range(60):
        copy = augment_image(page, policy, seed)
        grey = cv2.cvtColor(copy, cv2.COLOR_RGB2GRAY).astype(np.float32)
        ink = cv2.blur(grey, (15, 15)) - cv2.blur(grey, (3, 3)) > 12  # local contrast: light and noise are no ink
        assert ink[:, :48].sum() > 2 * ink[:, 48:].sum()


def test_photos_are_mirrored_about_half_of_the_time(page):
    def ink_is_right(seed: int) -> bool:
        grey = augment_image(page, "photos", seed).mean(2)
        ink = grey < np.median(grey) - 40
        return bool(ink[:, 48:].sum() > ink[:, :48].sum())

    assert 15 <= sum(map(ink_is_right, range(60))) <= 45


def test_characters_keep_their_colours(page):
    flat = np.full_like(page, (10, 200, 90))
    assert all(np.array_equal(augment_image(flat, "characters", seed), flat) for seed in range(10))


def test_transforms_are_drawn_independently_of_one_another(page, monkeypatch):
    """One stream for each transform would apply all transforms of equal probability together or not at all."""
    applied: list[set[str]] = []
    for name in ("GaussNoise", "ImageCompression"):

        def spy(self, image, *args, _name=name, **kwargs):
            applied[-1].add(_name)
            return image

        monkeypatch.setattr(getattr(augmentation.A, name), "apply", spy)
    monkeypatch.setattr(augmentation, "_compose", augmentation._compose.__wrapped__)
    for seed in range(60):
        applied.append(set())
        augment_image(page, "pages", seed)
    assert 0 < sum(len(names) == 2 for names in applied) < sum(len(names) == 1 for names in applied)


def test_a_copys_seed_depends_on_everything_that_names_it():
    seeds = {
        copy_seed(*key)
        for key in [(0, "a/b", 0, 1), (1, "a/b", 0, 1), (0, "a/c", 0, 1), (0, "a/b", 1, 1), (0, "a/b", 0, 2)]
    }
    assert len(seeds) == 5
    assert copy_seed(0, "a/b", 0, 1) == copy_seed(0, "a/b", 0, 1)
