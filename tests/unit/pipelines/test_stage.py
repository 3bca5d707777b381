"""The wrapper around every stage, run with toy stages."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twinfolio.errors import DataError

ROOT = Path(__file__).resolve().parents[3]
TOY = """
import os, signal
from _stage import Stage, run_stage


def main(stage: Stage) -> None:
    from twinfolio.reporting.tables import write_metrics

    checkpoint = stage.work_dir / "last.ckpt"
    if not checkpoint.exists():
        checkpoint.write_text("1")
        stage.log_metrics({"val/loss": 2.0}, step=0)
        os.kill(os.getpid(), signal.SIGKILL)
    stage.record(images_per_s=10.0)
    stage.log_metrics({"val/loss": 1.0}, step=1)
    write_metrics(stage.report_dir / "metrics.json", {"val/retrieval/P@1": 0.5})


if __name__ == "__main__":
    run_stage("train_siamese", main, inputs=["outputs/{item}.txt"], item_option="--distance")
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    (folder / "data" / "a").mkdir(parents=True)
    (folder / "data" / "a" / "1.jpg").write_bytes(b"x")
    (folder / "params.yaml").write_text("tracking: {system_metrics: false}\n")
    for key in ("LOCAL_RANK", "RANK", "NODE_RANK", "TWINFOLIO_RUN_ID", "TWINFOLIO_STAGE_KEY", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(key, "")  # so that what the stage sets is taken back
        monkeypatch.delenv(key)
    monkeypatch.chdir(folder)
    handler = signal.getsignal(signal.SIGTERM)
    yield folder
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def run(workspace, store, stage_module, monkeypatch):
    """Run a toy stage in this process; gives its exit status."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)

    def call(main, name="split", inputs=("data",)):
        os.environ.pop("TWINFOLIO_RUN_ID", None)
        with pytest.raises(SystemExit) as info:
            stage_module.run_stage(name, main, inputs=list(inputs))
        return info.value.code

    return call


@pytest.fixture
def runs(store, tmp_path):
    """All runs of the store by name."""

    def read():
        from twinfolio.tracking.mlflow_store import open_store

        client = open_store(store, tmp_path)
        experiment = client.get_experiment_by_name("twinfolio")
        found = client.search_runs([experiment.experiment_id]) if experiment else []
        return {r.info.run_name if "mlflow.parentRunId" in r.data.tags else "pipeline": r for r in found}

    return read


def test_a_stage_killed_in_its_tracks_continues_its_run_and_then_cleans_up(workspace, store_template, tmp_path):
    code = tmp_path / "code"
    (code / "pipelines").mkdir(parents=True)
    shutil.copytree(
        ROOT / "src" / "twinfolio", code / "src" / "twinfolio", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("_stage.py", "_sections.py"):
        shutil.copyfile(ROOT / "pipelines" / name, code / "pipelines" / name)
    shutil.copyfile(store_template, code / "mlflow.db")
    (code / "pipelines" / "toy.py").write_text(TOY)
    (workspace / "outputs").mkdir()
    (workspace / "outputs" / "l2.txt").write_text("input")
    command = [sys.executable, str(code / "pipelines" / "toy.py"), "--distance", "l2"]

    killed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    [state] = workspace.glob(".twinfolio/runs/train_siamese/l2/*/run.json")
    first = json.loads(state.read_text())["run_id"]

    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    facts = json.loads((workspace / "outputs/train_siamese/l2/run.json").read_text())
    assert (facts["run_id"], facts["item"], facts["store"]) == (first, "l2", "sqlite:///mlflow.db")
    assert str(tmp_path) not in json.dumps(facts)
    timing = json.loads((workspace / "reports/train_siamese/l2/timing.json").read_text())
    assert timing["wall_s"] > 0
    assert timing["peak_memory_mib"] > 50
    assert timing["images_per_s"] == 10
    assert not state.parent.exists()

    from twinfolio.tracking.mlflow_store import open_store

    client = open_store(f"sqlite:///{code / 'mlflow.db'}", code)
    stage = client.get_run(first)
    assert stage.info.status == "FINISHED"
    assert stage.data.tags["mlflow.parentRunId"] == facts["pipeline_run_id"]
    assert stage.data.metrics["val/retrieval/P_at_1"] == 0.5
    assert [m.value for m in client.get_metric_history(first, "val/loss")] == [2, 1]
    assert stage.data.params["siamese.head"] == "distance"
    assert "classify.lr" not in stage.data.params
    assert {a.path for a in client.list_artifacts(first)} == {"metrics.json", "timing.json"}
    pipeline = client.get_run(facts["pipeline_run_id"]).info
    assert (pipeline.status, pipeline.run_name.split()[0]) == ("FINISHED", "data")
    assert len(client.search_runs([stage.info.experiment_id])) == 2


def test_a_pipeline_run_ends_with_each_stage_and_evaluate_gives_it_the_final_metrics(run, runs):
    def main(stage):
        (stage.report_dir / "metrics.json").write_text('{"test/retrieval/mAP": 0.9, "test/none": null}')

    running = []
    assert run(lambda stage: running.append(runs()["pipeline"].info.status), "split") == 0
    assert (running, runs()["pipeline"].info.status) == (["RUNNING"], "FINISHED")
    assert run(main, "evaluate") == 0
    pipeline = runs()["pipeline"]
    assert pipeline.info.status == "FINISHED"
    assert pipeline.data.metrics == {"test/retrieval/mAP": 0.9}
    assert pipeline.data.params["classify.lr"] == "0.001"
    assert set(runs()) == {"pipeline", "split", "evaluate"}


def test_a_password_in_params_stays_out_of_every_run(run, runs, workspace, tmp_path):
    url = "postgresql://me:secret@host/studies"
    (workspace / "params.yaml").write_text(f"tracking: {{system_metrics: false}}\nsearch: {{storage: '{url}'}}\n")
    given = []
    assert run(lambda stage: given.append(stage.params.search.storage), "search") == 0
    assert run(lambda stage: None, "evaluate") == 0
    assert given == [url]
    shown = {name: found.data.params.get("search.storage") for name, found in runs().items()}
    assert shown == dict.fromkeys(("pipeline", "search"), "postgresql://me@host/studies") | {"evaluate": None}
    [sent] = (tmp_path / "mlartifacts").rglob("params.yaml")
    assert "storage: postgresql://me@host/studies\n" in sent.read_text()
    assert not [found for found in runs().values() if "secret" in str(found.to_dictionary())]
    assert not [path for path in workspace.rglob("*.json") if "secret" in path.read_text()]


def test_an_error_the_user_can_mend_is_one_line_and_a_failed_run(run, runs, capfd, workspace):
    def main(stage):
        raise DataError("data/: empty", "put\nimages there")

    assert run(main) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("twinfolio:")]
    assert lines == ["twinfolio: data/: empty; put images there"]
    assert runs()["split"].info.status == "FAILED"
    assert runs()["pipeline"].info.status == "FAILED"
    assert not (workspace / "outputs/split/run.json").exists()


def test_a_full_disk_is_one_line(run, capfd):
    def main(stage):
        raise OSError(errno.ENOSPC, "No space left on device", "outputs/split/manifest.csv")

    assert run(main) == 2
    assert "twinfolio: outputs/split/manifest.csv: No space left on device;" in capfd.readouterr().err


def test_a_programming_error_keeps_its_traceback_and_fails_the_run(workspace, store, stage_module, runs, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    with pytest.raises(ZeroDivisionError):
        stage_module.run_stage("split", lambda stage: 1 / 0, inputs=["data"])
    assert runs()["split"].info.status == "FAILED"


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("stop", "status"),
    [
        (lambda stage: os.kill(os.getpid(), signal.SIGTERM), 143),
        (lambda stage: signal.raise_signal(signal.SIGINT), 130),
    ],
)
def test_an_interrupted_stage_is_killed_in_mlflow_and_keeps_its_work_dir(run, runs, workspace, stop, status):
    assert run(stop) == status
    assert runs()["split"].info.status == "KILLED"
    assert list(workspace.glob(".twinfolio/runs/split/*/run.json"))


def test_lightnings_answer_to_ctrl_c_counts_as_interrupted(run, runs):
    def main(stage):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    assert run(main) == 130
    assert runs()["split"].info.status == "KILLED"


def test_a_changed_param_or_input_starts_a_new_run(run, runs, workspace):
    keys = []

    def main(stage):
        keys.append((stage.key, stage.run.run_id, stage.run.parent_run_id))

    assert run(main) == 0
    (workspace / "params.yaml").write_text("tracking: {system_metrics: false}\nclassify: {seed: 1}\n")
    assert run(main) == 0
    (workspace / "data" / "a" / "1.jpg").write_bytes(b"y")
    assert run(main) == 0
    (first, *_), (second, *_), (third, *_) = keys
    assert first == second  # split does not read classify's params
    assert second != third  # but it reads the images
    assert len({run_id for _, run_id, _ in keys}) == 3  # each was a real run of its own
    assert (
        len({parent for *_, parent in keys}) == 2
    )  # the fingerprint of data knows sizes only, and params changed once


def test_other_ranks_make_no_run_and_write_no_files(run, runs, workspace, monkeypatch):
    seen = []
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("TWINFOLIO_STAGE_KEY", "0123456789abcdef" * 4)
    assert run(seen.append, "classify") == 0
    [stage] = seen
    assert stage.work_dir == Path(".twinfolio/runs/classify/0123456789abcdef")
    assert stage.lightning_logger() is None
    assert not stage.rank_zero
    assert runs() == {}
    assert not list((workspace / "reports").rglob("*.json"))


@pytest.mark.parametrize(
    ("params", "inputs", "complaint"),
    [
        ("nonsense: 1", ["data"], "nonsense: unknown key"),
        ("{}", ["outputs/split/manifest.csv"], "outputs/split/manifest.csv: missing"),
    ],
)
def test_a_stage_that_cannot_start_says_so_before_it_makes_a_run(
    run, runs, workspace, capfd, params, inputs, complaint
):
    (workspace / "params.yaml").write_text(params)
    assert run(lambda stage: None, inputs=inputs) == 2
    assert complaint in capfd.readouterr().err
    assert runs() == {}


def test_a_source_file_edited_during_the_run_is_a_warning(run, stage_module, monkeypatch, capfd):
    hashes = iter(["before", "after"])
    monkeypatch.setattr(stage_module.identity, "source_hash", lambda root: next(hashes))
    assert run(lambda stage: None) == 0
    assert "the source changed during the run" in capfd.readouterr().err
