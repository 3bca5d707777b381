import pandas as pd
import pytest

from twinfolio.assessment.few_shot import FewShot
from twinfolio.evaluation.bootstrap import Interval
from twinfolio.evaluation.trials import draw_trials, read_trials
from twinfolio.reporting.few_shot import few_shot_chapter, few_shot_metrics

IDS = ["a0", "a1", "b0", "b1"]


@pytest.fixture
def asked():
    trials = draw_trials([0, 0, 1, 1], ["learned"] * 4, range(4), ways=2, per_family=6, seed=0)
    return FewShot("learned", IDS, trials, 0.75, Interval(0.5, 0.9))


def test_metrics_carry_interval_ways_and_shots(asked):
    assert few_shot_metrics([asked, FewShot("new", IDS, reason="too few")]) == {
        "few_shot_learned/accuracy": 0.75,
        "few_shot_learned/accuracy_low": 0.5,
        "few_shot_learned/accuracy_high": 0.9,
        "few_shot_learned/ways": 2.0,
        "few_shot_learned/shots": 1.0,
    }


def test_trials_are_kept_and_the_table_says_chance(asked, tmp_path):
    chapter = few_shot_chapter([asked], tmp_path)
    assert len(read_trials(tmp_path / "trials" / "learned.csv", IDS)) == 6
    row = pd.read_csv(tmp_path / "few_shot.csv").iloc[0]
    assert (row["classes"], row["chance"], row["trials"]) == ("learned", 0.5, 6)
    assert "unknown_classes: 0" in chapter.notes[0]


def test_a_side_without_trials_is_a_note_and_no_row(asked, tmp_path):
    chapter = few_shot_chapter([asked, FewShot("new", IDS, reason="new: 1 classes")], tmp_path)
    assert chapter.notes == ["No trials on new classes: new: 1 classes."]
    assert not (tmp_path / "trials" / "new.csv").exists()
    few_shot_chapter([FewShot("learned", IDS, reason="none")], tmp_path)
    assert (tmp_path / "few_shot.csv").read_text().splitlines()[0] == "classes"
