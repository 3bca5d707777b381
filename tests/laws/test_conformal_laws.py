"""What conformal sets promise: coverage on new groups, whatever the scores, as far as groups are exchangeable."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from twinfolio.evaluation.conformal import fit_conformal

TRIALS = 400
units = st.sampled_from(["query", "group"])
coverages = st.sampled_from([0.5, 0.8, 0.9])


def page(rng, likeness):
    """Own probabilities of the queries of one page: of any number, and alike; hard pages are large."""
    level = rng.normal()
    size = 1 + rng.poisson(3 * np.exp(-level / 2))
    return 1 / (1 + np.exp(-(level + (1 - likeness) * rng.normal(size=size))))


def fitted(pages, coverage, unit):
    own = np.concatenate(pages)
    groups = np.repeat(np.arange(len(pages)), [len(one) for one in pages])
    return fit_conformal(np.stack([own, 1 - own], axis=1), np.zeros(len(own), dtype=int), groups, coverage, unit)


def held(seed, n, coverage, unit, likeness):
    """How often a fit on n pages keeps its promise on one more."""
    rng = np.random.default_rng(seed)
    kept = 0
    for _ in range(TRIALS):
        *pages, new = (page(rng, likeness) for _ in range(n + 1))
        cut = fitted(pages, coverage, unit).cut
        kept += bool(new.min() >= cut if unit == "group" else rng.choice(new) >= cut)
    return kept


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), coverages, units, st.sampled_from([0.0, 0.7, 1.0]))
def test_a_new_groups_class_is_in_its_set_as_often_as_promised(seed, n, coverage, unit, likeness):
    assert held(seed, n, coverage, unit, likeness) >= binom.ppf(1e-7, TRIALS, coverage)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(9, 40), coverages)
def test_sets_are_no_larger_than_the_promise_needs(seed, n, coverage):
    """Without ties and with whole groups as units coverage exceeds the promise by 1 / (n + 1) at most."""
    assert held(seed, n, coverage, "group", 0.0) <= binom.ppf(1 - 1e-7, TRIALS, min(1.0, coverage + 1 / (n + 1)))


def test_queries_taken_for_independent_would_break_the_promise():
    """Five pages of equal queries: pooled, the lowest page seems enough for 90 %; it holds for 5 of 6 new pages."""
    rng = np.random.default_rng(0)
    kept = {True: 0, False: 0}
    for _ in range(2000):
        *pages, new = (np.repeat(rng.random(), 20) for _ in range(6))
        kept[True] += new[0] >= fitted(pages, 0.9, "query").cut
        kept[False] += new[0] >= fitted([query[None] for one in pages for query in one], 0.9, "query").cut
    assert kept[True] >= binom.ppf(1e-7, 2000, 0.9)
    assert kept[False] < binom.ppf(1e-7, 2000, 0.9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), coverages)
def test_the_stronger_promise_and_the_higher_share_never_raise_the_cut(seed, n, coverage):
    rng = np.random.default_rng(seed)
    pages = [page(rng, 0.5) for _ in range(n)]
    query, group = (fitted(pages, coverage, unit).cut for unit in ("query", "group"))
    assert group <= query
    assert fitted(pages, coverage + 0.05, "query").cut <= query
