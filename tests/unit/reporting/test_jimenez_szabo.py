import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.unit.reporting.judged_answers import ABOUT, MAPS, QUERIES, answered
from twinfolio.reporting.jimenez_szabo import paper_sign_test, shown_systems, verdict, write_judged
from twinfolio.reporting.jimenez_szabo_tables import difference_table, ranking_table


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, (count, 20, 30, 3)).astype(np.uint8) for count in (QUERIES, MAPS))


def test_the_page_says_what_was_left_out_and_what_is_pretrained(pictures, tmp_path):
    answers, test = answered()
    metrics = write_judged(answers, test, pictures, ABOUT, tmp_path)
    page = (tmp_path / "report.html").read_text()
    for words in (
        "vlad_rootsift: recall@1", "24 test queries against 30 maps", "queries that no map answers: 3",
        "images that cannot be read: 1", "whose bits are zeros: 2", "orb10-sim-0: pretrained: false",
        "hits cannot fall from 20 answers to 50",
    ):  # fmt: skip
        assert words in page
    for name in ("systems", "pairs", "differences", "paper"):
        assert len(pd.read_csv(tmp_path / f"{name}.csv"))
    for name in ("recall", "scores", "answers"):
        assert Image.open(tmp_path / f"{name}.png").size[0] > 300
    assert metrics["test/ranking/vlad_rootsift/recall@1"] == 1
    assert metrics["test/pairs/orb10-fov-0/mae"] == pytest.approx(0)
    assert metrics["test/left_out/unanswered"] == 3
    assert metrics["val/ranking/bow_orb/mAP"] == 0.5
    assert all(isinstance(value, (int, float)) for value in metrics.values())
    assert not [name for name in metrics if not re.fullmatch(r"[\w.@/ -]+", name)]  # as MLflow asks


def test_the_page_is_the_same_when_it_is_written_again(pictures, tmp_path):
    answers, test = answered()
    for folder in ("a", "b"):
        write_judged(answers, test, pictures, ABOUT, tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_recall_has_its_interval_in_the_cell_and_the_setting_stands_last():
    answers, test = answered()
    shown = shown_systems(ranking_table(answers, test))
    assert shown.columns[-1] == "setting"
    assert shown.set_index("system").loc["vlad_rootsift", "recall@1"].startswith("1.000 (")
    assert not [name for name in shown if name.endswith(("_low", "_high"))]


def test_the_papers_test_is_shown_beside_that_of_each_twin():
    answers, test = answered()
    said = paper_sign_test(answers, test)
    assert said.startswith("Sign test of P@10 against bow_orb: the paper's twin 1 wins, 0 losses, 19 ties (p = 1)")
    assert "orb10-sim-0" in said
    assert "vlad_rootsift" not in said
    del answers["bow_orb"]
    assert "orb10" not in paper_sign_test(answers, test)


def test_the_verdict_names_who_is_told_apart():
    answers, test = answered()
    said = verdict(difference_table(answers, test, "vlad_rootsift"), "vlad_rootsift", 12)
    assert "below vlad_rootsift: " in said
    assert "orb10-sim-0" in said.split("not told apart")[0]
    alone = difference_table({"bow_orb": answers["bow_orb"]}, test, "bow_orb")
    assert verdict(alone, "bow_orb", 12).startswith("One system")


def test_too_few_places_tell_nothing_apart():
    answers, test = answered()
    between = difference_table(answers, test, "vlad_rootsift")
    assert verdict(between, "vlad_rootsift", 6).startswith("6 test places are too few")  # 3 x 2 / 2^6
    assert "below" in verdict(between, "vlad_rootsift", 7)
