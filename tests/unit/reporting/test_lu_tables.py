import numpy as np
import pandas as pd
import pytest
from PIL import Image

from twinfolio.reporting.lu import beside_paper, cell_table
from twinfolio.reporting.lu_figures import curves_figure, embedding_figure
from twinfolio.reporting.lu_tables import verdict, write_tables
from twinfolio.reporting.tables import markdown_table

N = 60
LABELS = np.arange(N) % 10
EMBEDDED = ("nearest_accuracy", "centroid_accuracy", "pair_accuracy")


def write_grid(folder, measures, cells, rng, **flat):
    """Two seeds a cell; each is right as often as its cell is asked to be."""
    rows, correct = [], []
    for (depth, kernels), rate in cells.items():
        for seed in range(2):
            right = rng.permutation(N) < round(rate * N) + seed * depth
            values = {f"{split}/digits/{name}": right.mean() for split in ("val", "test") for name in measures}
            rows.append({"depth": depth, "kernels": kernels, "seed": seed, "n_parameters": 100, **values})
            correct.append(right)
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "cells.csv", index=False)
    np.savez(folder / "correct.npz", correct=np.stack(correct), **flat)
    return folder


@pytest.fixture(scope="module")
def grids(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("grids"), np.random.default_rng(0)
    points = rng.normal(size=(N, 2)).astype(np.float32)
    return {
        "cls10-grey": write_grid(root / "a", ["accuracy"], {(1, 8): 0.9, (3, 16): 0.4}, rng),
        "fc2-otsu": write_grid(root / "b", EMBEDDED, {(0, 0): 0.8}, rng, embeddings=points),
    }


@pytest.fixture(scope="module")
def written(grids, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    curves_figure(folder / "curves.png", {("mlp-otsu", 3): np.array([0.3, 0.2, 0.1])})
    write_tables(grids, "mnist", LABELS, folder / "curves.png", folder / "report")
    return folder / "report"


def test_every_file_is_written(written):
    names = {"tables.md", "report.html", "embeddings.png", "cells.csv", "differences.csv"}
    assert {path.name for path in written.iterdir()} == names


def test_the_page_has_every_table_under_its_grid_and_every_figure(grids, written):
    text = (written / "tables.md").read_text()
    heads = [
        "### Ten classes (cls10), grey ink",
        "### Two dimensions right after the blocks (fc2), binarised ink (Otsu)",
    ]
    assert [line for line in text.splitlines() if line.startswith("#")] == heads
    first, second = text.split(heads[1])
    for part, grid, names in ((first, "cls10-grey", ["accuracy"]), (second, "fc2-otsu", EMBEDDED)):
        cells = cell_table(pd.read_csv(grids[grid] / "cells.csv"))
        assert part.count("percent:") == len(names)
        for name in names:
            assert markdown_table(beside_paper(cells, f"test/digits/{name}")) in part
    assert "1 of 1 pairs of cells (depth x kernels) really differ" in first
    assert "One cell: nothing to compare." in second
    html = (written / "report.html").read_text()
    assert html.count("data:image/png") == 2
    assert "Digits: mnist, 60 test images" in html
    assert html.count("1-NN accuracy among the train embeddings") == 1


def test_cells_and_differences_name_their_grid(written):
    cells = pd.read_csv(written / "cells.csv")
    assert cells[["grid", "depth", "kernels", "seeds"]].to_numpy().tolist() == [
        ["cls10-grey", 1, 8, 2],
        ["cls10-grey", 3, 16, 2],
        ["fc2-otsu", 0, 0, 2],
    ]
    pairs = pd.read_csv(written / "differences.csv")
    assert pairs[["grid", "a", "b"]].to_numpy().tolist() == [["cls10-grey", "1 x 8", "3 x 16"]]
    assert pairs.loc[0, "difference"] == pytest.approx((54 + 55 - 24 - 27) / 120, abs=1e-6)


def test_grids_without_a_plane_have_no_picture_of_it(grids, written, tmp_path):
    one = {"cls10-grey": grids["cls10-grey"]}
    write_tables(one, "mnist", LABELS, written.parent / "curves.png", tmp_path)
    assert not (tmp_path / "embeddings.png").exists()
    assert (tmp_path / "report.html").read_text().count("data:image/png") == 1


def pairs_of(*p, p_seeds=0.01):
    rows = [{"a": f"1 x {i}", "b": f"2 x {i}", "difference": 0.0125, "p_holm": one} for i, one in enumerate(p)]
    return pd.DataFrame(rows).assign(p_seeds=p_seeds)


def test_the_verdict_names_the_fewer_of_those_that_differ_and_those_that_do_not():
    text = verdict(pairs_of(0.04, 0.05, 0.2))
    assert text.startswith("1 of 3 pairs of cells (depth x kernels) really differ")
    assert "; which do, with the difference in points: 1 x 0 and 2 x 0 (+1.25). " in text
    assert "; the others, with the difference in points: 1 x 1 and 2 x 1 (+1.25). " in verdict(
        pairs_of(0.04, 0.05, 0.001)
    )


def test_what_other_seeds_might_turn_does_not_really_differ():
    text = verdict(pairs_of(0.001, 0.001, 0.001, p_seeds=[0.01, 0.2, np.nan]))
    assert text.startswith("1 of 3 pairs")
    assert text.endswith("2 differ over the images alone: other seeds might turn them.")


def test_the_verdict_of_one_cell_and_of_cells_alike_names_none():
    assert verdict(pd.DataFrame()) == "One cell: nothing to compare."
    assert verdict(pairs_of(0.05, 1.0)).startswith("0 of 2 pairs")
    assert " and 2 x" not in verdict(pairs_of(0.05, 1.0))


def test_curves_shorter_than_the_window_are_drawn_a_panel_a_net(tmp_path):
    short = np.array([0.5, 0.25])
    curves_figure(tmp_path / "one.png", {("mlp", 2): short, ("mlp", 1): short[:1]})
    curves_figure(tmp_path / "two.png", {("mlp", 2): short, ("fc2", 1): short[:1], ("fc2", 60): np.ones(60)})
    one, two = (Image.open(tmp_path / f"{name}.png").size for name in ("one", "two"))
    assert two == (2 * one[0], one[1])


def test_points_of_several_nets_are_drawn_three_in_a_row(tmp_path):
    points = np.random.default_rng(0).normal(size=(N, 2))
    for count in (1, 3, 4):
        embedding_figure(tmp_path / f"{count}.png", {f"net {i}": points for i in range(count)}, LABELS)
    one, three, four = (Image.open(tmp_path / f"{count}.png").size for count in (1, 3, 4))
    assert three[0] == four[0] > 2 * one[0]
    assert four[1] == 2 * one[1] == 2 * three[1]
