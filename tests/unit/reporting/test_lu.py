import numpy as np
import pandas as pd
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial
from scipy import stats

from twinfolio.reporting.lu import beside_paper, cell_table, differences, holm, t_interval, write_cells


def cells_of(*cells, seeds=3, **measures):
    """``cells.csv``: a row a cell and seed; a measure is an array (cells, seeds)."""
    rows = []
    for place, (depth, kernels) in enumerate(cells):
        for seed in range(seeds):
            values = {name: of[place][seed] for name, of in measures.items()}
            rows.append({"depth": depth, "kernels": kernels, "seed": seed, "n_parameters": 1000 * (place + 1)} | values)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_of_seeds_is_students(confidence):
    values = np.array([0.91, 0.95, 0.93, 0.97])
    expected = stats.t.interval(confidence, 3, loc=values.mean(), scale=stats.sem(values))
    assert t_interval(values, confidence) == pytest.approx(expected)


def test_a_single_seed_has_no_interval():
    assert np.isnan(t_interval(np.array([0.9]))).all()


def test_holms_values_are_those_computed_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.02, 0.5])) == pytest.approx([1.0, 0.06, 1.0])
    assert holm(np.array([0.2])) == pytest.approx([0.2])


def test_holms_values_keep_the_order_and_are_never_below_the_raw_ones_or_above_one():
    raw = np.random.default_rng(0).random(40) ** 3
    adjusted = holm(raw)
    assert (np.diff(adjusted[np.argsort(raw)]) >= 0).all()
    assert (adjusted >= raw).all()
    assert adjusted.max() <= 1


def test_a_cell_has_the_mean_sd_and_interval_of_its_seeds():
    rates = np.array([[0.90, 0.92, 0.97], [0.80, 0.81, 0.85]])
    name = "test/digits/accuracy"
    table = cell_table(cells_of((2, 8), (1, 16), **{name: rates, "val/digits/accuracy": rates - 0.1}))
    assert table[["depth", "kernels", "n_parameters", "seeds"]].to_numpy().tolist() == [
        [1, 16, 2000, 3],
        [2, 8, 1000, 3],
    ]
    np.testing.assert_allclose(table[name], [0.82, 0.93])
    np.testing.assert_allclose(table[f"{name}_sd"], [np.sqrt(0.0014 / 2), np.sqrt(0.0026 / 2)])
    np.testing.assert_allclose(table[[f"{name}_low", f"{name}_high"]], [t_interval(rates[1]), t_interval(rates[0])])
    np.testing.assert_allclose(table["val/digits/accuracy"], table[name] - 0.1)
    assert not [column for column in table if "pair_accuracy" in column]


PLANTED = np.random.default_rng(1).random((9, 400)) < np.repeat([0.95, 0.75, 0.95], 3)[:, None]


def test_a_planted_difference_is_found_and_an_absent_one_is_not():
    table = differences(cells_of((1, 8), (2, 8), (3, 8)), PLANTED).set_index(["a", "b"])
    assert list(table.index) == [("1 x 8", "2 x 8"), ("1 x 8", "3 x 8"), ("2 x 8", "3 x 8")]
    rates = PLANTED.reshape(3, 3, 400).mean((1, 2))
    np.testing.assert_allclose(table["difference"], [rates[0] - rates[1], rates[0] - rates[2], rates[1] - rates[2]])
    assert (table["difference_low"] < table["difference"]).all()
    assert (table["difference"] < table["difference_high"]).all()
    apart = table.loc[[("1 x 8", "2 x 8"), ("2 x 8", "3 x 8")]]
    assert (apart[["p", "p_holm", "p_seeds"]] < 0.05).all(axis=None)
    assert table.loc[("1 x 8", "2 x 8"), "difference_low"] > 0
    assert table.loc[("2 x 8", "3 x 8"), "difference_high"] < 0
    alike = table.loc[("1 x 8", "3 x 8")]
    assert alike["difference_low"] < 0 < alike["difference_high"]
    assert min(alike["p"], alike["p_holm"], alike["p_seeds"]) > 0.05


def test_differences_are_corrected_over_all_pairs_and_paired_over_seeds():
    table = differences(cells_of((1, 8), (2, 8), (3, 8)), PLANTED)
    np.testing.assert_allclose(table["p_holm"], holm(table["p"].to_numpy()))
    by_seed = PLANTED.mean(1).reshape(3, 3)
    pairs = [(0, 1), (0, 2), (1, 2)]
    np.testing.assert_allclose(table["p_seeds"], [stats.ttest_rel(by_seed[a], by_seed[b]).pvalue for a, b in pairs])


def test_cells_that_name_every_image_alike_do_not_differ():
    row = differences(cells_of((1, 8), (2, 8), seeds=1), PLANTED[[0, 0]]).iloc[0]
    assert (row["difference"], row["p"], row["p_holm"]) == (0, 1, 1)
    assert np.isnan(row["p_seeds"])


def test_one_cell_has_nothing_to_differ_from():
    assert differences(cells_of((0, 0)), PLANTED[:3]).empty


def test_the_papers_rate_stands_beside_ours_with_wilsons_interval():
    name = "test/digits/accuracy"
    table = cell_table(cells_of((0, 0), (3, 16), **{name: np.array([[0.95, 0.96, 0.97], [0.999, 0.999, 1.0]])}))
    shown = beside_paper(table, name).set_index("depth")
    wilson = stats.binomtest(2493, 2500).proportion_ci(method="wilson")
    paper = shown.loc[3, "paper (Wilson, of 2,500)"]
    assert paper == f"99.72 ({100 * wilson.low:.2f} to {100 * wilson.high:.2f})"
    assert shown.loc[3, ["kernels", "parameters", "ours", "SD"]].tolist() == [16, "2,000", "99.93", "0.06"]
    assert shown.loc[3, "interval over seeds"] == "99.79 to 100.00"
    assert shown.loc["none", ["kernels", "parameters", "ours", "SD"]].tolist() == ["none", "1,000", "96.00", "1.00"]
    assert shown.loc["none", "paper (Wilson, of 2,500)"] == ""
    assert shown.loc["none", "interval over seeds"] == "93.52 to 98.48"


def trial(cell, kernels, value, state=TrialState.COMPLETE, **more):
    metrics = {"val/digits/pair_accuracy": value, "n_parameters": 10 * kernels}
    return create_trial(
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        params={"siamese.trunk_options.kernels": kernels, "siamese.seed": 0},
        distributions={"siamese.trunk_options.kernels": IntDistribution(8, 64), "siamese.seed": IntDistribution(0, 0)},
        user_attrs={"cell": cell, "metrics": metrics},
        **more,
    )


def measured(folder, number, fill):
    (folder / f"trial-{number:04d}").mkdir()
    arrays = {"correct": np.arange(4) < fill, "embeddings": np.full((4, 2), fill, np.float32)}
    np.savez(folder / f"trial-{number:04d}" / "measured.npz", **arrays)


def test_finished_trials_are_rows_and_the_best_ones_embeddings_are_kept(tmp_path):
    import optuna

    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            trial(0, 8, 0.5),
            trial(1, 16, 0, TrialState.FAIL),
            trial(2, 32, 0, TrialState.FAIL),
            trial(1, 16, 0.75, system_attrs={"failed_trial": 1}),
        ]
    )
    for number, fill in ((0, 2), (1, 3)):  # what begins trial 1 again works in its folder
        measured(tmp_path, number, fill)
    write_cells(study, tmp_path, tmp_path)
    cells = pd.read_csv(tmp_path / "cells.csv")
    assert cells[["depth", "kernels", "seed", "n_parameters"]].to_numpy().tolist() == [[0, 8, 0, 80], [0, 16, 0, 160]]
    assert cells["val/digits/pair_accuracy"].tolist() == [0.5, 0.75]
    with np.load(tmp_path / "correct.npz", allow_pickle=False) as file:
        assert file["correct"].sum(1).tolist() == [2, 3]
        assert file["embeddings"].tolist() == [[3, 3]] * 4
