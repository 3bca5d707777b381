"""The one-shot study on a few made-up alphabets: one command, both recipes, tables; nothing trained or opened twice."""

import json

import pandas as pd
import pytest

from tests.pipeline.studies import assert_one_line, reproduce
from tests.unit.pipelines.test_oneshot import TINY

pytestmark = pytest.mark.slow

SETTINGS = [f"{key}={json.dumps(value)}" for key, value in TINY.items()]
TRAININGS = TINY["ma_oneshot.trainings"]


@pytest.fixture(scope="module")
def studied(new_clone):
    clone = new_clone("oneshot")
    stages, done = reproduce(clone, "ma_oneshot", "--set", *SETTINGS)
    return clone, stages, done.stdout


def test_one_command_trains_every_model_and_opens_evaluation_last(studied):
    clone, stages, printed = studied
    assert (stages[0], stages[-1]) == ("omniglot", "oneshot_test")
    assert sorted(stages[1:-1]) == sorted(f"oneshot@{name}" for name in TRAININGS)
    reports = clone / "workspaces" / "tiny" / "reports"
    assert str(reports / "oneshot_test" / "report.html") in printed
    table = pd.read_csv(reports / "oneshot_test" / "models.csv").set_index("model")
    assert table.loc["small-ours", "seeds"] == 2
    assert table.loc["koch: not run", "seeds"] == 0
    assert len((reports / "test_uses.csv").read_text().splitlines()) == 2


def test_another_model_is_trained_alone_and_counted_as_another_opening(studied):
    clone, _, _ = studied
    assert reproduce(clone, "ma_oneshot", "--set", *SETTINGS)[0] == []
    stages, _ = reproduce(
        clone, "ma_oneshot", "--set", *SETTINGS, f"ma_oneshot.trainings=[{','.join((*TRAININGS, 'sircnn-ours-0'))}]"
    )
    assert stages == ["oneshot@sircnn-ours-0", "oneshot_test"]
    assert len((clone / "workspaces" / "tiny" / "reports" / "test_uses.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("omniglot.validation_alphabets=3", "all 3 background alphabets are to validate on; leave some to learn from"),
        ("ma_oneshot.trainings=[small-theirs-0]", "TRUNK-RECIPE-SEED"),
    ],
)
def test_bad_input_is_one_line(studied, change, said):
    _, done = reproduce(studied[0], "ma_oneshot", "--set", *SETTINGS, change, check=False)
    assert_one_line(done, said)
