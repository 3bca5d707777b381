import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinfolio.errors import ModelError
from twinfolio.retrieval.joined import JSON, Join, load_join, own_vectors, spread_of_cosines, weights_of_spreads
from twinfolio.retrieval.matched import Matched
from twinfolio.retrieval.recipe import Recipe
from twinfolio.retrieval.scorers import distance_scorer, unit_rows
from twinfolio.retrieval.whitening import fit_whitening


def drawn(seed, rows, widths):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=(rows, width)).astype(np.float32) * generator.uniform(0.1, 50) for width in widths]


def join_of(spreads, widths):
    return Join(tuple(f"m{i}" for i in range(len(widths))), weights_of_spreads(spreads), tuple(widths))


@given(
    st.integers(0, 99),
    st.lists(st.tuples(st.integers(2, 9), st.floats(0.01, 5)), min_size=1, max_size=4),
)
def test_the_joined_score_is_the_weighted_mean_of_the_members_cosines(seed, members):
    widths, spreads = zip(*members, strict=True)
    join = join_of(spreads, widths)
    queries, gallery = drawn(seed, 5, widths), drawn(seed + 100, 7, widths)
    joined = distance_scorer("cosine")(join.vectors(gallery)).pairwise(join.vectors(queries))
    cosines = [unit_rows(x) @ unit_rows(y).T for x, y in zip(queries, gallery, strict=True)]
    expected = sum(weight * one for weight, one in zip(join.weights, cosines, strict=True))
    np.testing.assert_allclose(joined, expected, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(join.vectors(queries), axis=1), 1, rtol=1e-5)
    for place, part in enumerate(queries):
        np.testing.assert_allclose(join.part(place, join.vectors(queries)), unit_rows(part), atol=1e-5)


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=5))
def test_weights_sum_to_one_and_give_every_member_the_same_spread(spreads):
    weights = weights_of_spreads(spreads)
    assert sum(weights) == pytest.approx(1)
    products = [weight * spread for weight, spread in zip(weights, spreads, strict=True)]
    np.testing.assert_allclose(products, products[0], rtol=1e-6)


def test_members_whose_scores_never_differ_do_not_divide_by_nothing():
    assert np.isfinite(weights_of_spreads([0.0, 0.0])).all()


def test_the_spread_is_the_standard_deviation_of_all_cosines():
    (x,), (y,) = drawn(0, 300, [6]), drawn(1, 40, [6])
    assert spread_of_cosines(x, y) == pytest.approx((unit_rows(x) @ unit_rows(y).T).std(), rel=1e-5)


def test_a_member_brings_its_whitened_vectors_without_key_points():
    (rows,) = drawn(0, 20, [5 + 2 * 6])
    recipe = Recipe(whitening=fit_whitening(rows[:, :5], 3), matched=Matched(points=2, width=4))
    np.testing.assert_array_equal(own_vectors(recipe, rows), recipe.whitening.apply(rows[:, :5]))
    np.testing.assert_array_equal(own_vectors(Recipe(), rows), rows)


def test_a_join_survives_its_file(tmp_path):
    join = join_of([0.1, 0.3], [4, 7])
    join.save(tmp_path)
    assert load_join(tmp_path) == join


@pytest.mark.parametrize("text", ["", "{}", '{"members": []}', '{"members": [{"name": "a", "weight": 0, "width": 3}]}'])
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / JSON).write_text(text)
    with pytest.raises(ModelError, match=JSON):
        load_join(tmp_path)
