from __future__ import annotations

from math import log2

import numpy as np
import pytest

from twinfolio.evaluation.ties import dense_ties


def table(scores, gains, excluded=None):
    scores, gains = np.array([scores], float), np.array([gains], float)
    return dense_ties(scores, gains, np.zeros(scores.shape, bool) if excluded is None else np.array([excluded]))


def test_a_block_counts_who_stands_before_and_beside_its_relevant_candidates():
    ties = table([5, 3, 3, 3, 1], [1, 1, 0, 2, 0])
    columns = (ties.start, ties.before, ties.size, ties.inside, ties.gain)
    assert [column.tolist() for column in columns] == [[0, 1], [0, 1], [1, 3], [1, 2], [1, 3]]


def test_discounted_gain_is_that_of_the_paper_where_nothing_ties():
    # gains 3, 2, 3, 0, 0, 1 in the order of the ranking
    gained = [3, 2 / log2(3), 3 / 2, 0, 0, 1 / log2(7)]
    best = [3, 3 / log2(3), 2 / 2, 1 / log2(5)]
    ties = table([9, 8, 7, 6, 5, 4], [3, 2, 3, 0, 0, 1])
    assert ties.discounted_gain()[0] == pytest.approx(sum(gained))
    assert ties.normalised_gain()[0] == pytest.approx(sum(gained) / sum(best))
    assert ties.normalised_gain(2)[0] == pytest.approx(sum(gained[:2]) / sum(best[:2]))


def test_a_constant_scorer_gains_the_mean_at_every_place():
    ties = table([0, 0, 0, 0], [2, 0, 0, 1])
    mean = 0.75 * sum(1 / log2(place + 1) for place in (1, 2, 3))
    assert ties.discounted_gain(3)[0] == pytest.approx(mean)


def test_the_order_of_relevant_images_of_one_gain_is_nothing_and_of_two_gains_something():
    same, worse = table([3, 2, 1], [1, 1, 0]), table([3, 2, 1], [1, 2, 0])
    assert same.normalised_gain()[0] == 1
    assert worse.normalised_gain()[0] < 1
    assert worse.average_precision()[0] == same.average_precision()[0]


def test_what_is_excluded_is_not_in_the_best_order_either():
    ties = table([3, 2, 1], [5, 1, 0], [True, False, False])
    assert ties.normalised_gain()[0] == 1
    assert ties.n_candidates.tolist() == [2]


def test_map_at_r_looks_at_the_first_r_places_only():
    # R = 2: of the hits at 1 and 3 only the first counts
    ties = table([9, 8, 7], [1, 0, 1])
    assert ties.average_precision(ties.n_relevant)[0] / 2 == pytest.approx(0.5)
