"""The stages of the leak study, with a pipeline that is only played."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from twinfolio.errors import DataError
from twinfolio.params import Params
from twinfolio.params.file import load_params


@pytest.fixture
def retrain(stage_module, monkeypatch):
    monkeypatch.delitem(sys.modules, "retrain", raising=False)
    return importlib.import_module("retrain")


@pytest.fixture
def study(tmp_path, monkeypatch, retrain):
    """A study's workspace, the calls of DVC from it, and what they leave in the protocol's own workspace."""
    here = tmp_path / "root" / "workspaces" / "leak_gap-pages"
    (here / "data" / "a").mkdir(parents=True)
    for name in ("dvc.yaml", ".dvcignore"):
        (tmp_path / "root" / name).write_text("")
    (tmp_path / "root" / "params.yaml").write_text("{}")
    monkeypatch.chdir(here)
    monkeypatch.setattr(retrain, "ROOT", tmp_path / "root")
    calls = []

    def play(command, *, cwd, env=None, **others):
        if command[:3] == [sys.executable, "-m", "dvc"]:
            (cwd / ".dvc").mkdir()
            return subprocess.CompletedProcess(command, 0)
        assert command == ["dvc", "repro"]
        calls.append((Path(cwd), env))
        for name in retrain.KEPT:
            (cwd / name).parent.mkdir(parents=True, exist_ok=True)
            (cwd / name).write_text(f"{cwd.name} {name}")
        return SimpleNamespace(returncode=len(calls) > 2)

    monkeypatch.setattr(retrain.subprocess, "run", play)
    return here, calls


def stage_of(here, protocol, **split):
    params = Params.model_validate({"split": {"seed": 7, **split}})
    folders = {name: here / name / protocol for name in ("outputs", "work")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return SimpleNamespace(
        item=protocol, params=params, data_dir=Path("data"), output_dir=folders["outputs"], work_dir=folders["work"]
    )


def test_each_protocol_has_a_workspace_that_differs_in_the_protocol_alone(retrain, study, monkeypatch):
    here, calls = study
    for key in ("TWINFOLIO_RUN_ID", "TWINFOLIO_STAGE_KEY", "DVC_ROOT", "DVC_STAGE", "KEPT_AS_IT_IS"):
        monkeypatch.setenv(key, "outer")
    for protocol in ("blocks", "random"):
        retrain.main(stage_of(here, protocol, group_pattern="p"))
    assert [folder.name for folder, _ in calls] == ["leak_gap-pages-blocks", "leak_gap-pages-random"]
    first, second = (load_params(folder / "params.yaml") for folder, _ in calls)
    assert (first.split.protocol, second.split.protocol) == ("blocks", "random")
    assert (first.split.seed, first.split.group_pattern) == (7, "p")
    assert first.model_copy(update={"split": second.split}) == second
    for folder, env in calls:
        assert (folder / "data").resolve() == here / "data"
        assert "KEPT_AS_IT_IS" in env
        # a run of the outer pipeline would swallow the inner one's
        assert not [key for key in env if key.startswith("DVC_") or key in ("TWINFOLIO_RUN_ID", "TWINFOLIO_STAGE_KEY")]


def test_what_the_study_compares_is_kept(retrain, study):
    here, _ = study
    retrain.main(stage_of(here, "blocks"))
    for name in retrain.KEPT:
        assert (here / "outputs" / "blocks" / name).read_text() == f"leak_gap-pages-blocks {name}"


def test_a_pipeline_that_stops_is_named_and_nothing_is_kept(retrain, study):
    here, calls = study
    calls += [(here, {})] * 2
    with pytest.raises(DataError, match="workspaces/leak_gap-pages-random: its pipeline stopped"):
        retrain.main(stage_of(here, "random"))
    assert not list((here / "outputs" / "random").iterdir())
