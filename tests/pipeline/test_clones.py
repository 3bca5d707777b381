"""What two clones share, what a killed or a distributed run leaves: real DVC, MLflow and Lightning."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.pipeline.clones import ENV, commit, make_clone, run
from tests.pipeline.test_repro import STAGES, mlflow_runs

pytestmark = pytest.mark.slow


def metrics_files(clone: Path) -> dict[str, bytes]:
    reports = clone / "reports"
    return {path.relative_to(reports).as_posix(): path.read_bytes() for path in sorted(reports.glob("**/metrics.json"))}


def change_params(clone: Path, section: str, **values) -> None:
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params[section].update(values)
    (clone / "params.yaml").write_text(yaml.safe_dump(params))


@pytest.fixture(scope="module")
def second(new_clone) -> Path:
    clone = new_clone("second")
    run("dvc", "repro", cwd=clone)
    commit(clone, "reproduced")
    return clone


def test_two_clones_train_to_identical_metrics_files(tiny, second):
    first = metrics_files(tiny)
    assert len(first) == 12
    assert first == metrics_files(second)
    assert len(mlflow_runs(second)) == len(mlflow_runs(tiny)) == 1 + len(STAGES)


def crown_a_distance(clone: Path) -> dict:
    """Make the best distance the champion, whichever system of a few seconds' training has won."""
    compared = clone / "outputs/compare_distances"
    chosen = json.loads((compared / "champion.json").read_text())
    chosen |= {"system": chosen["distance"], "kind": "distance"}
    (compared / "champion.json").write_text(json.dumps(chosen))
    shutil.rmtree(compared / "champion")
    shutil.copytree(clone / f"outputs/train_siamese/{chosen['distance']}/model", compared / "champion")
    run("dvc", "commit", "-q", "-f", "compare_distances", cwd=clone)
    return chosen


def test_a_refit_trains_the_champion_alone_on_one_device_or_two_and_keeps_its_threshold(new_clone, tiny):
    clone = new_clone("refit")
    for folder in ("outputs", "reports", ".dvc/cache"):
        shutil.copytree(tiny / folder, clone / folder, dirs_exist_ok=True)
    shutil.copyfile(tiny / "dvc.lock", clone / "dvc.lock")
    chosen = crown_a_distance(clone)
    run("dvc", "repro", "--single-item", "calibrate", cwd=clone)
    change_params(clone, "train", refit=True)
    done = run("dvc", "repro", cwd=clone)
    assert re.findall(r"Running stage '(\S+)'", done.stdout) == ["refit", "evaluate"]
    refit = json.loads((clone / "reports/refit/metrics.json").read_text())
    validated = json.loads((clone / f"reports/train_siamese/{chosen['distance']}/metrics.json").read_text())
    assert (refit["refit"], refit["epochs_run"]) == (1, validated["best_epoch"])
    assert not [name for name in refit if name.startswith("val/")]
    verification = pd.read_csv(clone / "reports/evaluate/verification.csv", index_col="system")
    assert verification.threshold["refit"] == verification.threshold[chosen["distance"]]
    systems = pd.read_csv(clone / "reports/evaluate/systems.csv", index_col="system")
    assert systems.index[0] == "refit"
    assert pd.isna(systems.champion_lead["refit"])
    assert pd.notna(systems.champion_lead[chosen["distance"]])
    assert "trained again on train and validation" in (clone / "reports/evaluate/report.html").read_text()
    before = mlflow_runs(clone)
    change_params(clone, "trainer", devices=2, strategy="ddp")
    run("dvc", "repro", "--single-item", "refit", cwd=clone)
    distributed = mlflow_runs(clone)
    new = distributed[~distributed.id.isin(before.id) & distributed.parent.notna()]
    assert (list(new.name), list(new.status)) == (["refit"], ["FINISHED"])
    assert json.loads((clone / "reports/refit/timing.json").read_text())["n_devices"] == 2
    assert json.loads((clone / "reports/refit/metrics.json").read_text())["epochs_run"] == refit["epochs_run"]


def test_a_pushed_pipeline_is_pulled_and_has_nothing_to_do(second, tmp_path):
    run("dvc", "remote", "add", "-d", "folder", str(tmp_path / "remote"), cwd=second)
    commit(second, "remote")
    run("dvc", "push", cwd=second)
    clone = tmp_path / "clone"
    run("git", "clone", "-q", str(second), str(clone), cwd=tmp_path)
    run("dvc", "pull", cwd=clone)
    done = run("dvc", "repro", "--dry", cwd=clone)
    assert "Running stage" not in done.stdout
    assert (clone / "outputs/evaluate/model").is_dir()


def test_queued_experiments_appear_in_the_workspace_store(second):
    before = set(mlflow_runs(second).id)
    for temperature in (0.2, 0.3):
        run("dvc", "exp", "run", "--queue", "-S", f"siamese.temperature={temperature}", cwd=second)
    run("dvc", "queue", "start", cwd=second)
    deadline = time.monotonic() + 900
    while run("dvc", "queue", "status", cwd=second).stdout.count("Success") < 2:
        assert time.monotonic() < deadline, run("dvc", "queue", "status", cwd=second).stdout
        time.sleep(5)
    run("dvc", "queue", "stop", cwd=second)
    runs = mlflow_runs(second)
    new = runs[~runs.id.isin(before)]
    assert new.parent.isna().sum() == 2
    assert set(new.status) == {"FINISHED"}
    shown = json.loads(run("dvc", "exp", "show", "--json", cwd=second).stdout)
    assert len(shown[-1]["experiments"] or shown[0]["experiments"] or []) == 2


def test_a_killed_training_resumes_in_its_run_and_ends_with_the_same_numbers(tmp_path):
    clone = make_clone(tmp_path / "killed")
    change_params(clone, "classify", epochs=6, patience=6)
    run("dvc", "repro", "augment", cwd=clone)
    stage = subprocess.Popen(["dvc", "repro", "classify"], cwd=clone, env=ENV, start_new_session=True)
    deadline = time.monotonic() + 240
    while not list(clone.glob(".twinfolio/runs/classify/*/**/last*.ckpt")):
        assert time.monotonic() < deadline, "no checkpoint appeared"
        assert stage.poll() is None, "the stage ended before it could be killed"
        time.sleep(0.05)
    os.killpg(stage.pid, signal.SIGKILL)
    stage.wait()
    assert not (clone / "outputs/classify/model").exists()
    interrupted = mlflow_runs(clone)
    done = run("dvc", "repro", "classify", cwd=clone)
    resumed = mlflow_runs(clone)
    assert set(resumed.id) == set(interrupted.id)
    assert "continuing run" in done.stdout + done.stderr
    unkilled = make_clone(tmp_path / "unkilled")
    change_params(unkilled, "classify", epochs=6, patience=6)
    run("dvc", "repro", "classify", cwd=unkilled)
    killed_metrics = (clone / "reports/classify/metrics.json").read_bytes()
    assert killed_metrics == (unkilled / "reports/classify/metrics.json").read_bytes()


def test_two_processes_write_files_and_runs_once(tmp_path):
    clone = make_clone(tmp_path / "ddp")
    change_params(clone, "trainer", devices=2, strategy="ddp")
    run("dvc", "repro", "train_siamese@l1", "train_scratch", cwd=clone)
    runs = mlflow_runs(clone)
    assert sorted(runs[runs.parent.notna()].name) == sorted(
        ["split", "augment", "classify", "train_siamese l1", "train_scratch"]
    )
    assert set(runs[runs.parent.notna()].status) == {"FINISHED"}
    for stage in ("classify", "train_siamese/l1", "train_scratch"):
        assert json.loads((clone / "reports" / stage / "timing.json").read_text())["n_devices"] == 2
