"""Manuscripts as drawn, before a page is written."""

from __future__ import annotations

from dataclasses import fields

import pytest

from twinfolio.sample.scribes import TRAITS, Hand, draw_manuscripts


@pytest.fixture(scope="module")
def manuscripts():
    return draw_manuscripts(0, 24, (20, 60))


def test_page_counts_are_uneven_and_cover_the_range(manuscripts):
    counts = [manuscript.pages for manuscript in manuscripts]
    assert (min(counts), max(counts)) == (20, 60)
    assert 850 <= sum(counts) <= 950
    assert len(set(counts)) > 12


def test_some_families_share_everything_but_the_hand(manuscripts):
    shops = [manuscript.workshop for manuscript in manuscripts]
    families = [shop for shop in set(shops) if shops.count(shop) > 1]
    assert len(families) == 5
    assert len({manuscript.hand for manuscript in manuscripts}) == 24


def test_hands_of_one_family_are_far_apart(manuscripts):
    for one in manuscripts:
        for other in manuscripts:
            if one.name < other.name and one.workshop == other.workshop:
                assert distance(one.hand, other.hand) > 1.5


def distance(one, other):
    """Weighted distance of two hands in shares of each trait's range."""
    gaps = [
        (getattr(one, name) - getattr(other, name)) / (trait.high - trait.low) * trait.weight
        for name, trait in TRAITS.items()
    ]
    return sum(gap**2 for gap in gaps) ** 0.5


def test_traits_describe_every_field_in_order():
    assert list(TRAITS) == [field.name for field in fields(Hand)]


def test_papers_overlap_between_workshops(manuscripts):
    usual = [manuscript.workshop.papers[0] for manuscript in manuscripts]
    assert len(set(usual)) < len({manuscript.workshop for manuscript in manuscripts})


def test_names_are_distinct_and_sorted(manuscripts):
    names = [manuscript.name for manuscript in manuscripts]
    assert names == sorted(set(names))


@pytest.mark.parametrize("number", [2, 3, 5, 60])
def test_any_number_of_manuscripts_can_be_drawn(number):
    assert len(draw_manuscripts(1, number, (4, 4))) == number
