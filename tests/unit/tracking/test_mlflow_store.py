import subprocess
import sys
from pathlib import Path

import pytest

from twinfolio.errors import TrackingError
from twinfolio.tracking.mlflow_store import (
    find_or_create_experiment,
    open_store,
    public_uri,
    store_lock,
    store_root,
    tracking_uri,
)

FOUR_AT_ONCE = """
import multiprocessing, sys
import mlflow, sqlalchemy.orm
from pathlib import Path
from twinfolio.tracking.mlflow_store import find_or_create_experiment, open_store, store_lock

folder = Path(sys.argv[1])
uri = f"sqlite:///{folder / 'mlflow.db'}"

def touch(number):
    client = open_store(uri, folder)
    with store_lock(uri, folder):
        experiment = find_or_create_experiment(client, uri, "e")
    client.create_run(experiment)

context = multiprocessing.get_context("fork")
processes = [context.Process(target=touch, args=(i,)) for i in range(4)]
[p.start() for p in processes]
[p.join() for p in processes]
print([p.exitcode for p in processes])
"""


@pytest.mark.slow
def test_four_processes_that_first_touch_a_store_together_all_succeed(tmp_path):
    command = [sys.executable, "-c", FOUR_AT_ONCE, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "[0, 0, 0, 0]", done.stderr
    client = open_store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    assert len(client.search_runs([client.get_experiment_by_name("e").experiment_id])) == 4


def test_queued_experiments_use_the_store_of_the_workspace_they_came_from(tmp_path):
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "tmpabc"
    assert store_root(copy, {}) == tmp_path
    assert store_root(tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc", {}) == tmp_path
    assert store_root(tmp_path, {}) == tmp_path


def test_the_root_dvc_names_counts_where_it_holds_the_stages(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    assert store_root(elsewhere, {"DVC_ROOT": str(root)}) == elsewhere  # a workspace below the root, without code
    (root / "pipelines").mkdir(parents=True)
    (root / "pipelines" / "_stage.py").touch()
    assert store_root(elsewhere, {"DVC_ROOT": str(root)}) == root


def test_the_environment_moves_the_store():
    assert tracking_uri(Path("/r"), {}) == "sqlite:////r/mlflow.db"
    assert tracking_uri(Path("/r"), {"MLFLOW_TRACKING_URI": "http://x"}) == "http://x"


@pytest.mark.parametrize(
    ("uri", "public"),
    [
        ("sqlite:////home/me/mlflow.db", "sqlite:///mlflow.db"),
        ("https://me:secret@host:5000/path", "https://host:5000"),
        ("databricks", "databricks"),
    ],
)
def test_a_public_uri_has_no_path_and_no_password(uri, public):
    assert public_uri(uri) == public


def test_artifacts_lie_beside_the_store_wherever_the_stage_runs(store, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    client = open_store(store, tmp_path)
    with store_lock(store, tmp_path):
        experiment = find_or_create_experiment(client, store, "e")
        assert find_or_create_experiment(client, store, "e") == experiment
    assert client.get_experiment(experiment).artifact_location == (tmp_path / "mlartifacts").as_uri()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_deleted_experiment_is_one_line(store, tmp_path):
    client = open_store(store, tmp_path)
    client.delete_experiment(find_or_create_experiment(client, store, "e"))
    with pytest.raises(TrackingError, match="experiment e is deleted; restore it"):
        find_or_create_experiment(client, store, "e")


def test_a_server_that_is_not_there_is_one_line_soon(tmp_path):
    with pytest.raises(TrackingError, match=r"MLflow store http://127\.0\.0\.1:9: .*see that MLFLOW_TRACKING_URI"):
        open_store("http://127.0.0.1:9", tmp_path)


def test_a_file_that_is_no_database_is_one_line(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database " * 100)
    with pytest.raises(TrackingError, match=r"MLflow store sqlite:///mlflow\.db"):
        open_store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
