import numpy as np
import pytest

from twinfolio.errors import ModelError
from twinfolio.retrieval.places import correspondences, difference_split, head_split


def one_hot_places(height, width, order):
    """Each place has a direction of its own; ``order`` says which."""
    return np.eye(height * width, dtype=np.float32)[order].T.reshape(-1, height, width)


def test_a_shuffled_image_is_matched_place_by_place():
    order = np.random.default_rng(0).permutation(6)
    first, second = one_hot_places(2, 3, np.arange(6)), one_hot_places(2, 3, order)
    found = correspondences(first, second, 6)
    assert {one.first: one.second for one in found} == {
        divmod(int(direction), 3): divmod(place, 3) for place, direction in enumerate(order)
    }
    assert [one.share for one in found] == pytest.approx([1 / 6] * 6)


def test_only_the_place_that_both_share_counts():
    first, second = np.zeros((4, 2, 2), np.float32), np.zeros((4, 2, 2), np.float32)
    first[0, 0, 1], second[0, 1, 0] = 3, 5  # what they share
    first[1, 1, 1], second[2, 0, 0] = 4, 2  # what one has alone
    to_first, to_second = head_split("distance", "cosine", normalise=True).maps(first, second)
    cosine = 3 * 5 / (5 * np.hypot(5, 2))
    np.testing.assert_allclose(to_first, [[0, cosine], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(to_second, [[0, 0], [cosine, 0]], atol=1e-6)


def test_equal_images_are_no_distance_apart_and_nothing_is_blamed():
    same = np.random.default_rng(0).normal(size=(5, 3, 3)).astype(np.float32)
    for distance in ("l1", "l2"):
        for part in difference_split(distance, normalise=False).maps(same, same):
            np.testing.assert_array_equal(part, 0)


def test_an_image_without_ink_has_a_map_of_zeros_not_of_nan():
    blank, other = np.zeros((4, 2, 2), np.float32), np.ones((4, 2, 2), np.float32)
    for distance in ("cosine", "l1", "l2"):
        for part in head_split("distance", distance, normalise=True).maps(blank, other):
            np.testing.assert_array_equal(part, 0)


def test_the_fusion_head_has_no_exact_split_and_says_so_by_none():
    assert head_split("fusion", "cosine", normalise=True) is None


def test_places_of_two_models_and_a_missing_weight_are_refused():
    split = head_split("distance", "cosine", normalise=True)
    with pytest.raises(ModelError, match="embed both with one model"):
        split.maps(np.ones((3, 2, 2), np.float32), np.ones((4, 2, 2), np.float32))
    with pytest.raises(ModelError, match="weight is missing"):
        head_split("weighted", "l1", normalise=True)
