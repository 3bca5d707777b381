import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.retrieval.reciprocal import Reciprocal, jaccard_similarity


def random_similarity(n, seed, levels=None):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 2))
    similarity = np.exp(-np.linalg.norm(points[:, None] - points[None], axis=-1))
    if levels:  # many ties
        similarity = np.round(similarity * levels) / levels
    np.fill_diagonal(similarity, 1.0)
    return similarity


def literal(similarity, k1, k2):
    """Equations 3 to 11 of the paper, one set at a time."""
    items = range(len(similarity))
    order = [sorted(items, key=lambda g, p=p: (g != p, -similarity[p][g], g)) for p in items]

    def reciprocal(p, k):
        return {g for g in order[p][: k + 1] if p in order[g][: k + 1]}

    encodings = []
    for p in items:
        chosen = reciprocal(p, k1)
        for q in sorted(chosen):
            half = reciprocal(q, round(k1 / 2))
            if len(reciprocal(p, k1) & half) >= 2 / 3 * len(half):
                chosen = chosen | half
        weights = {g: math.exp(-(1 - similarity[p][g])) for g in chosen}
        encodings.append({g: weight / sum(weights.values()) for g, weight in weights.items()})
    mean = [{g: sum(encodings[q].get(g, 0) for q in order[p][:k2]) / min(k2, len(items)) for g in items} for p in items]
    shared = [sum(min(mean[0][g], mean[p][g]) for g in items) for p in items[1:]]
    either = [sum(max(mean[0][g], mean[p][g]) for g in items) for p in items[1:]]
    return [a / b for a, b in zip(shared, either, strict=True)]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 24), k1=st.integers(1, 12), k2=st.integers(1, 8), seed=st.integers(0, 999),
    levels=st.sampled_from([None, 4]),
)  # fmt: skip
def test_encodings_agree_with_the_equations_taken_word_by_word(n, k1, k2, seed, levels):
    similarity = random_similarity(n, seed, levels)
    assert jaccard_similarity(similarity, k1, k2) == pytest.approx(literal(similarity.tolist(), k1, k2), abs=1e-9)


def test_the_whole_weight_on_the_first_similarity_keeps_the_order():
    similarity = random_similarity(20, 1)
    assert Reciprocal(weight=1.0).scores(similarity) == pytest.approx(similarity[0, 1:])


def test_no_candidate_falls_below_what_it_would_have_as_none():
    similarity = random_similarity(30, 2)
    how = Reciprocal(k1=5, k2=2, weight=0.3)
    scores = how.scores(similarity)
    assert (scores >= 0.3 * similarity[0, 1:] - 1e-12).all()
    assert (scores <= 1).all()


def test_an_image_that_the_querys_neighbours_know_passes_one_that_nobody_knows():
    # 0 is the query with friends 1 to 3; 5 is a little nearer to it than 4, but belongs to the crowd 6 to 8
    similarity = np.full((9, 9), 0.1)
    similarity[:5, :5] = 0.8
    similarity[5:, 5:] = 0.9
    similarity[0, 4] = similarity[4, 0] = 0.6
    similarity[0, 5] = similarity[5, 0] = 0.65
    np.fill_diagonal(similarity, 1.0)
    scores = Reciprocal(k1=4, k2=2, weight=0.3).scores(similarity)
    assert scores[3] > scores[4]


@pytest.mark.parametrize("wrong", [{"k1": 0}, {"k2": 0}, {"weight": 0.0}, {"weight": 1.2}, {"candidates": 0}])
def test_what_is_no_re_ranking_is_refused(wrong):
    with pytest.raises(ValueError, match="counts must be"):
        Reciprocal(**wrong)
