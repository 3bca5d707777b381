from __future__ import annotations

import numpy as np
import pytest

from twinfolio.evaluation.tie_counting import count, uncount


def table(seed, width):
    """Scores (5, width), and up to four falling limits for each row but one."""
    rng = np.random.default_rng(seed)
    block = rng.integers(-3, 4, (5, width)).astype(np.float32)
    limits = [np.unique(rng.integers(-4, 5, size)).astype(np.float32)[::-1] for size in (4, 0, 1, 3, 4)]
    bounds = np.cumsum([0, *(len(part) for part in limits)])
    return block, np.concatenate(limits), bounds, np.repeat(np.arange(5), np.diff(bounds))


@pytest.mark.parametrize(("seed", "width"), [(0, 1), (1, 7), (2, 64), (3, 1001)])
def test_counts_are_those_of_comparing_every_score_and_add_up_over_tiles(seed, width):
    block, limits, bounds, owner = table(seed, width)
    reached, passed = np.zeros((2, len(limits)), np.int64)
    assert not count(block, limits, bounds, reached, passed).any()
    assert reached.tolist() == (block[owner] >= limits[:, None]).sum(axis=1).tolist()
    assert passed.tolist() == (block[owner] > limits[:, None]).sum(axis=1).tolist()
    once = reached.copy()
    count(block, limits, bounds, reached, passed)
    assert reached.tolist() == (2 * once).tolist()


def test_what_is_taken_out_never_counted():
    block, limits, bounds, owner = table(4, 30)
    barred = np.random.default_rng(5).random(block.shape) < 0.4
    reached, passed = np.zeros((2, len(limits)), np.int64)
    count(block, limits, bounds, reached, passed)
    rows, columns = np.nonzero(barred)
    uncount(block[rows, columns], rows, limits, bounds, reached, passed)
    kept = np.where(barred, -np.inf, block)[owner]
    assert reached.tolist() == (kept >= limits[:, None]).sum(axis=1).tolist()
    assert passed.tolist() == (kept > limits[:, None]).sum(axis=1).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_with_a_score_that_is_no_number_is_named(value):
    block, limits, bounds, _ = table(6, 40)
    block[3, 33] = value
    counters = np.zeros((2, len(limits)), np.int64)
    assert count(block, limits, bounds, *counters).tolist() == [False, False, False, True, False]
