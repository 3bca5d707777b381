"""The study of judged images on a few made-up streets: one command, twins, tables; nothing trained or opened twice."""

import json

import pandas as pd
import pytest

from tests.pipeline.studies import assert_one_line, reproduce
from tests.unit.pipelines.test_jimenez_szabo import TINY

pytestmark = pytest.mark.slow

SETTINGS = [f"{key}={json.dumps(value)}" for key, value in TINY.items()]
TRAININGS = TINY["jimenez_szabo.trainings"]


@pytest.fixture(scope="module")
def studied(new_clone):
    clone = new_clone("judged")
    stages, done = reproduce(clone, "jimenez_szabo", "--set", *SETTINGS)
    return clone, stages, done.stdout


def test_one_command_trains_every_twin_and_opens_test_last(studied):
    clone, stages, printed = studied
    assert (stages[0], stages[-1]) == ("judged", "judged_tables")
    assert sorted(stages[1:-1]) == sorted(f"judged_pairs@{name}" for name in TRAININGS)
    reports = clone / "workspaces" / "tiny" / "reports"
    assert str(reports / "judged_tables" / "report.html") in printed
    assert set(TRAININGS) < set(pd.read_csv(reports / "judged_tables" / "systems.csv")["system"])
    assert len((reports / "test_uses.csv").read_text().splitlines()) == 2


def test_another_twin_is_trained_alone_and_counted_as_another_opening(studied):
    clone, _, _ = studied
    assert reproduce(clone, "jimenez_szabo", "--set", *SETTINGS)[0] == []
    stages, _ = reproduce(
        clone, "jimenez_szabo", "--set", *SETTINGS, f"jimenez_szabo.trainings=[{','.join((*TRAININGS, 'orb4-fov-0'))}]"
    )
    assert stages == ["judged_pairs@orb4-fov-0", "judged_tables"]
    assert len((clone / "workspaces" / "tiny" / "reports" / "test_uses.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["judged.source=nowhere"], "nowhere/query: no such folder; put images there"),
        (["judged.source=drawn", "judged.drawn.streets=2"], "places leave none for train"),
        (["jimenez_szabo.trainings=[orb10-sim]"], "TWIN-TARGET-SEED"),
    ],
)
def test_bad_input_is_one_line(studied, changes, said):
    _, done = reproduce(studied[0], "jimenez_szabo", "--set", *SETTINGS, *changes, check=False)
    assert_one_line(done, said)
