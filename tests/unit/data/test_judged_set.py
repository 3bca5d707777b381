import numpy as np
import pytest

from tests.unit.data.judged_streets import BITS, write_streets
from twinfolio.data.judged_set import open_judged_set
from twinfolio.data.judged_split import answers
from twinfolio.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_streets(tmp_path_factory.mktemp("judged") / "set")


@pytest.fixture(scope="module")
def judged(folder):
    return open_judged_set(folder)


def test_rows_are_queries_and_then_maps(judged):
    n, m = judged.sim.shape
    assert (len(judged.images), len(judged.bits)) == (n + m, n + m)
    assert (judged.maps[0], judged.maps[-1]) == (n, n + m - 1)
    assert judged.images.index["image_id"][n] == "map/0"
    assert set(np.unique(judged.bits.images)) == {0, 255}
    assert judged.bits.images.shape[1:] == (BITS, 256, 1)


def test_pairs_are_rows_of_their_split(judged):
    rows = judged.pair_rows("val")
    assert set(rows[:, 0]) == set(judged.queries("val"))
    assert judged.sim[rows[:, 0], rows[:, 1] - len(judged.sim)].mean() == 0.5


def test_what_is_learned_from_holds_nothing_of_a_query_held_out(judged):
    maps = judged.learned[judged.learned >= len(judged.sim)] - len(judged.sim)
    assert not answers(judged.sim, judged.split, ["val", "test"])[maps].any()
    assert judged.sim[judged.queries("train")][:, maps].any(axis=0).all()
    assert set(judged.learned) >= set(judged.queries("train"))


def test_targets_are_what_was_judged(judged, tmp_path):
    np.testing.assert_array_equal(judged.target("sim"), judged.sim)
    np.testing.assert_array_equal(judged.target("fov"), judged.fov)
    ungraded = open_judged_set(write_streets(tmp_path / "set", graded=False))
    with pytest.raises(DataError, match="no fov; train on sim alone"):
        ungraded.target("fov")


def test_a_folder_that_holds_none_is_one_line(tmp_path):
    with pytest.raises(DataError, match="no judged set"):
        open_judged_set(tmp_path)
