import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinfolio.assessment.choice import KINDS, MARGIN, Candidate, choose_champion
from twinfolio.assessment.judgement import Contrast

L1, L2 = Candidate("l1", "distance", 0.700), Candidate("l2", "distance", 0.702)
CLASSIFIER, FROZEN = Candidate("classifier", "classifier", 0.701), Candidate("frozen_trunk", "frozen_trunk", 0.5)
VLAD = Candidate("vlad", "classical", 0.6)


def joined(mean_ap, members=2):
    return Candidate(f"joined of {members}", "joined", mean_ap, members)


def lead(low):
    return lambda a, b: Contrast(0.004, low, 0.01, 0.2, 0.2, 1, 1)


CHANCE, SURE, NO_INTERVAL = lead(-0.001), lead(0.001), lead(float("nan"))


def test_the_best_is_chosen_where_it_is_ahead():
    choice = choose_champion([L1, L2, CLASSIFIER, FROZEN, VLAD, joined(0.8)], CHANCE)
    assert (choice.champion.name, choice.best.name) == ("joined of 2", "joined of 2")
    assert (choice.behind, choice.preferred_over) == (None, ())


def test_a_distance_as_good_as_the_best_is_preferred_and_of_distances_the_better():
    choice = choose_champion([L1, CLASSIFIER, joined(0.704), L2, VLAD], CHANCE)
    assert choice.champion == L2
    assert choice.best.name == "joined of 2"
    assert choice.behind == CHANCE("", "")
    assert choice.preferred_over == ("l1", "classifier", "joined of 2")


def test_within_the_margin_but_surely_below_is_not_as_good():
    choice = choose_champion([L2, CLASSIFIER, joined(0.704)], SURE)
    assert choice.champion.name == "joined of 2"


def test_below_the_margin_chance_does_not_help():
    assert choose_champion([L2, joined(L2.mean_ap + MARGIN + 0.001)], CHANCE).champion.kind == "joined"


def test_without_an_interval_the_margin_decides():
    assert choose_champion([L2, joined(0.704)], NO_INTERVAL).champion == L2


def test_of_joined_systems_the_one_of_fewer_members_is_preferred():
    assert choose_champion([joined(0.802, 3), joined(0.800, 2)], CHANCE).champion.members == 2


def test_no_lead_is_asked_of_candidates_out_of_reach():
    asked = []

    def noted(a, b):
        asked.append((a, b))
        return CHANCE(a, b)

    choose_champion([L2, FROZEN, VLAD, joined(0.704)], noted)
    assert asked == [("joined of 2", "l2")]


def test_a_missing_value_is_below_all_others():
    assert choose_champion([Candidate("l1", "distance", float("nan")), VLAD], CHANCE).champion == VLAD


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.floats(0, 1)), min_size=1, max_size=8), st.booleans())
def test_the_champion_is_within_the_margin_of_the_best_and_no_preferred_kind_is_as_good(drawn, sure):
    candidates = [Candidate(str(place), kind, value) for place, (kind, value) in enumerate(drawn)]
    choice = choose_champion(candidates, SURE if sure else CHANCE)
    assert choice.best.mean_ap == max(one.mean_ap for one in candidates)
    assert choice.best.mean_ap - choice.champion.mean_ap <= MARGIN
    if sure:
        assert choice.champion == choice.best
    else:
        good = [one for one in candidates if choice.best.mean_ap - one.mean_ap <= MARGIN]
        assert KINDS.index(choice.champion.kind) == min(KINDS.index(one.kind) for one in good)
        assert {choice.champion.name, *choice.preferred_over} == {one.name for one in good}


@pytest.mark.parametrize("order", [[L1, L2, CLASSIFIER], [CLASSIFIER, L2, L1]])
def test_the_order_of_candidates_changes_nothing(order):
    assert choose_champion(order, CHANCE).champion == L2
