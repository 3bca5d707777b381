import numpy as np
import pytest
from scipy.stats import binomtest

from tests.unit.reporting.judged_answers import answered
from twinfolio.reporting.jimenez_szabo_paper import DOUBTS, PRECISION, SIGN_TEST, WITHIN
from twinfolio.reporting.jimenez_szabo_tables import beside_paper, difference_table, pair_table, ranking_table


@pytest.fixture
def answers():
    return answered()[0]


@pytest.fixture
def test_side():
    return answered()[1]


def test_the_printed_numbers_are_those_of_the_paper():
    assert [PRECISION[k] for k in (5, 10, 20, 50)] == [0, 0.02, 0.02, 0.0075]  # systems.md 3.3
    assert WITHIN == {0.1: 0.03, 0.05: 0.005, 0.01: 0}
    assert sum(SIGN_TEST) == 20
    hits = [round(PRECISION[k] * k, 6) for k in (5, 10, 20, 50)]
    assert hits == [0, 0.2, 0.4, 0.375]
    assert ", ".join(str(hit)[1:] if hit else "0" for hit in hits[:3]) in DOUBTS[0].replace(" and .375", "")


def test_systems_stand_in_the_order_of_validation_with_intervals(answers, test_side):
    table = ranking_table(answers, test_side)
    assert table["system"].tolist() == ["vlad_rootsift", "bow_orb", "orb10-sim-0", "orb10-fov-0"]
    for measure in ("recall@1", "recall@10", "P@5", "mAP", "nDCG@10"):
        assert (table[f"{measure}_low"] <= table[measure]).all()
        assert (table[measure] <= table[f"{measure}_high"]).all()
    best = table.iloc[0]
    assert best["recall@1"] == 1  # a perfect ranking
    assert best["P@5"] == pytest.approx(0.4)  # two right maps


def test_twins_are_held_against_what_they_learned_and_against_one_that_sees_nothing(answers, test_side):
    table = pair_table(answers, test_side).set_index("system")
    assert table.index.tolist() == ["orb10-sim-0", "orb10-fov-0", "always_mean_sim", "always_mean_fov"]
    assert table.loc["always_mean_sim", ["mae", "brier", "spread"]].tolist() == [0.5, 0.25, 0]
    assert np.isnan(table.loc["always_mean_sim", "spearman"])
    assert table.loc["orb10-fov-0", "mae"] == pytest.approx(0)  # it says the judgment itself
    assert table.loc["orb10-fov-0", "within_0.01"] == 1
    assert table.loc["orb10-sim-0", "spread"] < 0.01  # collapsed


def test_every_other_system_is_compared_with_the_best_on_validation(answers, test_side):
    table = difference_table(answers, test_side, "vlad_rootsift").set_index("system")
    assert set(table.index) == set(answers) - {"vlad_rootsift"}
    row = table.loc["orb10-sim-0"]
    assert row["difference"] < 0
    assert row["wins"] + row["losses"] + row["ties"] == len(test_side.places)
    assert row["p_sign"] == pytest.approx(binomtest(int(row["wins"]), int(row["wins"] + row["losses"])).pvalue)
    assert (table["p_holm"] >= table["p"]).all()


def test_one_system_has_nothing_to_be_compared_with(answers, test_side):
    assert difference_table({"bow_orb": answers["bow_orb"]}, test_side, "bow_orb").empty


def test_the_papers_tables_have_its_rows_our_twins_the_ceiling_and_chance(answers, test_side):
    table = beside_paper(answers, test_side, pair_table(answers, test_side)).set_index("measure")
    assert table.index.tolist() == ["P@5", "P@10", "P@20", "P@50", "within 0.1", "within 0.05", "within 0.01"]
    assert table.columns.tolist() == ["printed", "orb10-sim-0", "bow_orb", "ceiling", "random"]
    assert table.loc["P@50", "printed"] == "0.75%"
    assert table.loc["P@5", "ceiling"] == "40.0%"
    assert table.loc["P@5", "random"] == "6.7%"
    assert table.loc["within 0.1", "bow_orb"] == ""
