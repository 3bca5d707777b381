"""Nets against classical descriptors on striped images: one command, one opening of test, nothing done twice."""

import json
import re
import shutil

import pytest
import yaml

from tests.pipeline.clones import run
from tests.unit.pipelines.test_mtasher import CLASSICAL, STAGES, read_params

pytestmark = pytest.mark.slow


def reproduce(clone, *changes, check=True):
    command = ["python", "pipelines/repro.py", "--study", "mtasher_msad", "--data", "pages", "--name", "tiny"]
    done = run(*command, "--params", "study.yaml", "--set", "mtasher_msad.seed=0", *changes, cwd=clone, check=check)
    return re.findall(r"Running stage '(\S+)'", done.stdout), done


@pytest.fixture(scope="module")
def studied(new_clone):
    clone = new_clone("mtasher")
    shutil.copytree(clone / "data", clone / "pages")
    (clone / "study.yaml").write_text(yaml.safe_dump(read_params().model_dump(mode="json")))
    stages, done = reproduce(clone)
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
    assert reproduce(clone)[0] == []
    stages, _ = reproduce(clone, "mtasher_msad.originals=3")
    assert stages == ["mtasher", "mtasher_test"]
    assert len((clone / "workspaces" / "tiny" / "reports" / "test_uses.csv").read_text().splitlines()) == 3


def test_a_study_without_classical_systems_is_one_line(studied):
    _, done = reproduce(studied[0], "classical.systems=[]", check=False)
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "classical.systems = []" in line]
    assert len(lines) == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
