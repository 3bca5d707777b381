from __future__ import annotations

import numpy as np
import pytest

from twinfolio.evaluation.arrays import codes, finite_scores, same_length


def test_codes_are_equal_exactly_where_names_are():
    left, right = codes(["b", "a"], ["a", "longer", "b"])
    assert (left[:, None] == right[None]).tolist() == [[False, False, True], [True, False, False]]


def test_scores_are_checked():
    assert finite_scores(np.float32([1, 2]), 1).dtype == np.float64
    with pytest.raises(ValueError, match="dimensions"):
        finite_scores([1.0], 2)
    with pytest.raises(ValueError, match="infinity"):
        finite_scores([np.inf], 1)


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match="'a': 1, 'b': 2"):
        same_length(a=np.zeros(1), b=np.zeros(2))
