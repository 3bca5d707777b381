import numpy as np
import pytest

from twinfolio.errors import ModelError
from twinfolio.retrieval.heads import build_scorer


def test_an_unknown_head_is_one_line():
    with pytest.raises(ModelError, match="head = 'other' is unknown"):
        build_scorer("other", "l1", {}, np.ones((2, 3), np.float32))


def test_the_l1_distance_is_a_mean_scale_so_that_heads_of_any_width_start_alike():
    state = {"log_scale": np.array(0.0), "offset": np.array(2.0)}
    gallery = np.zeros((1, 16), np.float32)
    scorer = build_scorer("distance", "l1", state, gallery)
    assert scorer.pairwise(np.ones((1, 16), np.float32)) == pytest.approx(2 - 16 / 4)
