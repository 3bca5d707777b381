"""The array scorers are the heads."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings

from tests.laws.test_head_laws import all_pairs_by_paired, cases, draw, every_head, rounding
from twinfolio.retrieval.heads import build_scorer
from twinfolio.retrieval.search import search


def scorer_of(head, gallery):
    state = {name: tensor.detach().numpy() for name, tensor in head.state_dict().items()}
    return build_scorer(head.kind, head.distance, state, gallery.numpy())


@every_head
@settings(max_examples=20, deadline=None)
@given(case=cases)
@example(case=(0, 1, 4, 2, "pooled"))  # a row of zeros has a cosine of 0, whatever the mean of the gallery
def test_a_scorer_equals_its_head_and_orders_alike(kind, distance, case):
    head, x, y = draw(kind, distance, case)
    with torch.no_grad():
        expected = all_pairs_by_paired(head, x, y).numpy()
    scorer = scorer_of(head, y)
    rows = np.tile(np.arange(len(y)), (len(x), 1))
    tolerance = rounding(torch.from_numpy(expected), x, y)
    for fast in (scorer.pairwise(x.numpy()), scorer.paired(x.numpy(), rows)):
        assert fast == pytest.approx(expected, abs=tolerance, rel=0)
        ahead = expected[:, :, None] > expected[:, None, :] + 2 * tolerance
        assert (fast[:, :, None] > fast[:, None, :])[ahead].all()


@every_head
@settings(max_examples=20, deadline=None)
@given(case=cases)
def test_a_search_is_in_the_heads_own_order(kind, distance, case):
    head, x, y = draw(kind, distance, case)
    with torch.no_grad():
        expected = all_pairs_by_paired(head, x, y).numpy()
    found = search(scorer_of(head, y), x.numpy(), k=5)
    tolerance = 4 * rounding(torch.from_numpy(expected), x, y)
    for query, rows in enumerate(found.ids):
        scores = expected[query, rows]
        assert (np.diff(scores) <= tolerance).all()
        left_out = np.delete(expected[query], rows)
        assert len(left_out) == 0 or left_out.max() <= scores.min() + tolerance
