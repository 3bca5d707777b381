"""Streaming over tiles gives the table of the whole matrix, whatever the tiles and whoever takes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinfolio.evaluation import streaming
from twinfolio.evaluation.retrieval_protocol import Items, exclusions, relevance
from twinfolio.evaluation.ties import dense_ties

cases = st.tuples(
    st.integers(0, 9999), st.integers(1, 9), st.integers(1, 40), st.integers(1, 6), st.integers(1, 4), st.integers(1, 9)
)


def items(rng, n, prefix):
    ids = np.array([f"{prefix}{i}" for i in range(n)])
    labels, groups, clusters = (rng.integers(0, count, n).astype(str) for count in (3, 4, 30))
    return Items(ids, labels, groups, clusters)


@settings(max_examples=150, deadline=None)
@given(case=cases, own_group=st.sampled_from(["included", "excluded"]))
def test_tiles_give_the_table_of_the_whole(case, own_group):
    seed, n, m, levels, tile_queries, tile_gallery = case
    rng = np.random.default_rng(seed)
    queries, gallery = items(rng, n, "q"), items(rng, m, "g")
    scores = rng.integers(0, levels, (n, m)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "TILE_QUERIES", tile_queries)
        patch.setattr(streaming, "TILE_GALLERY", tile_gallery)
        rows, table = streaming.streaming_ties(lambda q, g: scores[np.ix_(q, g)], queries, gallery, own_group)
        tiles = range(streaming.query_tiles(n))
        alone = [streaming.streaming_ties(lambda q, g: scores[np.ix_(q, g)], queries, gallery, own_group, [t])
                 for t in tiles]  # fmt: skip
    whole = dense_ties(scores[rows], relevance(queries, gallery)[rows], exclusions(queries, gallery, own_group)[rows])
    for name in ("query", "start", "size", "inside", "n_candidates"):
        assert getattr(table, name).tolist() == getattr(whole, name).tolist(), name
    assert np.concatenate([part[0] for part in alone]).tolist() == rows.tolist()
    assert np.concatenate([part[1].start for part in alone]).tolist() == table.start.tolist()
