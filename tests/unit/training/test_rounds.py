from hypothesis import given
from hypothesis import strategies as st

from twinfolio.training.rounds import IMAGES_A_VALIDATED_ROW, LEAST_ROUNDS, LEAST_STEPS, capped_rounds, round_steps


def test_a_round_shows_the_train_rows_about_once():
    assert round_steps(6400, 100, 64) == 100


def test_a_round_is_never_so_short_that_validation_moves_by_chance():
    assert round_steps(60, 20, 64) == LEAST_STEPS


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 512))
def test_validation_embeds_a_third_of_what_a_round_trains_on_or_less(train_rows, validated, batch):
    assert round_steps(train_rows, validated, batch) * batch >= IMAGES_A_VALIDATED_ROW * validated


@given(st.floats(0.01, 100), st.floats(0.001, 10), st.integers(1, 500))
def test_capped_rounds_fit_into_the_time_unless_they_are_the_fewest(minutes, seconds, steps):
    rounds = capped_rounds(minutes, seconds, steps)
    assert rounds == LEAST_ROUNDS or rounds * steps * seconds <= 60 * minutes
