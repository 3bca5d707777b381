"""A fresh MLflow store costs 5 s to make: one is made a session, and copied."""

import shutil
import signal
import sys
from pathlib import Path

import pytest

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


@pytest.fixture(scope="session")
def store_template(tmp_path_factory):
    from twinfolio.tracking.mlflow_store import open_store

    folder = tmp_path_factory.mktemp("store")
    open_store(f"sqlite:///{folder / 'mlflow.db'}", folder)
    return folder / "mlflow.db"


@pytest.fixture
def store(store_template, tmp_path):
    """URI of an empty store in the test's own folder."""
    shutil.copyfile(store_template, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def stage_module(monkeypatch):
    """``pipelines/_stage.py`` as a module of this process."""
    monkeypatch.setattr(sys, "path", [str(PIPELINES), *sys.path])
    import _stage

    return _stage


@pytest.fixture
def ctrl_c():
    """Python's own answer to Ctrl-C: where the tests run in the background it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
