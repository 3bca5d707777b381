"""Laws of rankings: sorted, complete, without what is excluded, whatever the scores."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twinfolio.retrieval.ranking import rank

quick = settings(max_examples=40, deadline=None)
shapes = st.tuples(st.integers(1, 5), st.integers(1, 9))
matrices = shapes.flatmap(
    lambda shape: st.tuples(arrays(np.float64, shape, elements=st.integers(-3, 3).map(float)), arrays(np.bool_, shape))
)


def slow_rank(scores, excluded):
    return sorted((i for i in range(len(scores)) if not excluded[i]), key=lambda i: (-scores[i], i))


@quick
@given(matrices, st.integers(1, 10))
def test_a_ranking_is_the_sorted_list_of_the_candidates(pair, k):
    scores, excluded = pair
    result = rank(scores, excluded, k)
    for row in range(len(scores)):
        kept = result.ids[row][result.filled[row]].tolist()
        assert kept == slow_rank(scores[row], excluded[row])[:k]
        assert (result.scores[row][: len(kept)] == scores[row][kept]).all()


@quick
@given(matrices)
def test_a_shift_of_all_scores_keeps_the_ranking(pair):
    scores, excluded = pair
    assert (rank(scores, excluded).ids == rank(scores + 8, excluded).ids).all()
