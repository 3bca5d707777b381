import h5py
import numpy as np
import pytest
from PIL import Image

from twinfolio.data.sources.judged import load_judged
from twinfolio.errors import DataError

SIM = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])
FOV = np.array([[0.9, 0, 0, 0.4], [0, 0.5, 0.1, 0], [0, 0, 0, 0]])


@pytest.fixture
def folder(tmp_path):
    for side, names in (("query", ("a", "b", "c")), ("map", ("k", "l", "m", "n"))):
        (tmp_path / side).mkdir()
        for name in names:
            Image.new("RGB", (8, 8)).save(tmp_path / side / f"{name}.png")
        (tmp_path / side / ".hidden.png").write_bytes(b"")
        (tmp_path / side / "notes.txt").write_text("no image")
    return tmp_path


def write_csv(folder, rows, head="query,map,sim,fov"):
    (folder / "relevance.csv").write_text("\n".join([head, *rows]) + "\n")


def write_npz(folder, **arrays):
    np.savez(folder / "relevance.npz", **arrays)


def write_h5(folder, **arrays):
    with h5py.File(folder / "relevance.h5", "w") as file:
        for key, matrix in arrays.items():
            file[key] = matrix


@pytest.mark.parametrize("write", [write_npz, write_h5])
def test_matrices_are_read_by_key(write, folder):
    write(folder, sim=SIM, fov=FOV, other=SIM)
    judged = load_judged(folder)
    assert judged.queries == ["query/a.png", "query/b.png", "query/c.png"]
    assert judged.maps == [f"map/{name}.png" for name in "klmn"]
    np.testing.assert_array_equal(judged.sim, SIM == 1)
    np.testing.assert_allclose(judged.fov, FOV, rtol=1e-6)
    np.testing.assert_array_equal(judged.without_relevant, [False, False, True])


def test_a_list_of_pairs_says_the_same(folder):
    write_csv(folder, ["a.png,k.png,1,.9", "a.png,n.png,1,.4", "b.png,l.png,1,.5", "b.png,m.png,0,.1"])
    judged = load_judged(folder)
    np.testing.assert_array_equal(judged.sim, SIM == 1)
    np.testing.assert_allclose(judged.fov, FOV, rtol=1e-6)


def test_either_key_is_enough(folder):
    write_npz(folder, sim=SIM)
    assert load_judged(folder).fov is None
    write_npz(folder, fov=FOV)
    np.testing.assert_array_equal(load_judged(folder).sim, FOV > 0)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"sim": SIM.T}, "sim is 4 x 3, there are 3 queries and 4 maps"),
        ({"sim": SIM[0]}, "sim is 4, there are 3 queries and 4 maps"),
        ({"sim": SIM / 2}, "sim holds 0.5; judge by 0 or 1"),
        ({"fov": FOV * 2}, "fov holds a value that is not between 0 and 1"),
        ({"fov": np.where(FOV == 0, np.nan, FOV)}, "fov holds a value that is not between 0 and 1"),
        ({"similarity": SIM}, "holds neither sim nor fov"),
        ({"sim": np.array([[object()]])}, "cannot be read"),
    ],
)
def test_a_matrix_that_cannot_be_is_refused_in_a_line(arrays, said, folder):
    write_npz(folder, **arrays)
    with pytest.raises(DataError, match=said):
        load_judged(folder)


@pytest.mark.parametrize(
    ("head", "rows", "said"),
    [
        ("query,map,sim", ["a.png,z.png,1"], "map z.png is no image there"),
        ("query,map,sim", ["a.png,k.png,1", "a.png,k.png,0"], "a.png and k.png are judged twice"),
        ("query,map,sim", ["a.png,k.png,yes"], "sim holds a value that is not between 0 and 1"),
        ("query,sim", ["a.png,1"], "has no columns query and map"),
        ("query,map", ["a.png,k.png"], "holds neither sim nor fov"),
    ],
)
def test_a_list_that_cannot_be_is_refused_in_a_line(head, rows, said, folder):
    write_csv(folder, rows, head)
    with pytest.raises(DataError, match=said):
        load_judged(folder)


def test_what_is_missing_is_named(folder):
    with pytest.raises(DataError, match=r"no relevance\.npz"):
        load_judged(folder)
    write_npz(folder, sim=SIM)
    (folder / "relevance.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot be read"):
        load_judged(folder)
    for name in "klmn":
        (folder / "map" / f"{name}.png").unlink()
    with pytest.raises(DataError, match="map: no image"):
        load_judged(folder)


def test_images_that_are_left_out_take_their_judgments_with_them(folder):
    write_npz(folder, sim=SIM, fov=FOV)
    rest = load_judged(folder).without(["query/a.png", "map/m.png"])
    assert (rest.queries, rest.maps) == (["query/b.png", "query/c.png"], ["map/k.png", "map/l.png", "map/n.png"])
    np.testing.assert_array_equal(rest.sim, SIM[1:][:, [0, 1, 3]])
    np.testing.assert_allclose(rest.fov, FOV[1:][:, [0, 1, 3]], rtol=1e-6)
