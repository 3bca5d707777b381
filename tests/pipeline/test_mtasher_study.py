"""Nets against classical descriptors on striped images: one command, one opening of test, nothing done twice."""

import json
import shutil

import pytest
import yaml

from tests.pipeline.studies import assert_one_line, reproduce
from tests.unit.pipelines.test_mtasher import CLASSICAL, STAGES, read_params

pytestmark = pytest.mark.slow

DATA = ("--data", "pages", "--params", "study.yaml", "--set", "mtasher_msad.seed=0")


@pytest.fixture(scope="module")
def studied(new_clone):
    clone = new_clone("mtasher")
    shutil.copytree(clone / "data", clone / "pages")
    (clone / "study.yaml").write_text(yaml.safe_dump(read_params().model_dump(mode="json")))
    stages, done = reproduce(clone, "mtasher_msad", *DATA)
    return clone, stages, done.stdout


def test_one_command_fits_everything_and_opens_test_last(studied):
    clone, stages, printed = studied
    assert sorted(stages) == sorted([*STAGES, "mtasher_test"])
    assert stages[-2:] == ["mtasher", "mtasher_test"]
    reports = clone / "workspaces" / "tiny" / "reports"
    assert str(reports / "mtasher_test" / "report.html") in printed
    metrics = json.loads((reports / "mtasher_test" / "metrics.json").read_text())
    for system in ("cnn_frozen", "cnn_finetuned", *CLASSICAL):
        assert {f"test/planted_{system}/precision", f"test/planted_{system}/recall"} <= set(metrics)


def test_more_copies_train_and_fit_nothing_again(studied):
    clone, _, _ = studied
    assert reproduce(clone, "mtasher_msad", *DATA)[0] == []
    stages, _ = reproduce(clone, "mtasher_msad", *DATA, "mtasher_msad.originals=3")
    assert stages == ["mtasher", "mtasher_test"]
    assert len((clone / "workspaces" / "tiny" / "reports" / "test_uses.csv").read_text().splitlines()) == 3


def test_a_study_without_classical_systems_is_one_line(studied):
    _, done = reproduce(studied[0], "mtasher_msad", *DATA, "classical.systems=[]", check=False)
    assert_one_line(done, "classical.systems = []")
