"""Workspaces: each data set has its own folder of params, outputs and reports, so that two never overwrite each other.

The root of the repository is the workspace of ``data/``. ``make repro DATA=FOLDER`` makes ``workspaces/<name>/``, a DVC
project of its own that runs the same ``dvc.yaml`` (or a study's) with the code of the root and shares the root's cache.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from twinfolio.errors import DataError, ParamsError
from twinfolio.params.file import load_params, parse_params, patched, write_params

logger = logging.getLogger(__name__)


def run_dvc(arguments: Sequence[str], workspace: Path) -> subprocess.CompletedProcess[str]:
    """Run DVC in a workspace and return what it printed; its failure is the caller's to read."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=workspace, check=False, text=True, capture_output=True)


def needs_data(root: Path, study: str | None) -> bool:
    """Whether a pipeline reads a folder of class folders; a study of digits brings its own.

    Raises:
        ParamsError: There is no such study.
    """
    stages = yaml.safe_load((_pipeline_folder(root, study) / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return any("data" in stage.get("deps", ()) for stage in stages.values())


def choose_workspace(
    root: Path,
    data: Path | None = None,
    params: Path | None = None,
    name: str | None = None,
    study: str | None = None,
    changes: Sequence[str] = (),
) -> Path:
    """The root for its own data, else a workspace; either with checked params and data in place.

    Args:
        root: The repository's root.
        data: See ``make_workspace``; None: the root's ``data/``, or the sample, where the pipeline reads any.
        params: See ``make_workspace``.
        name: See ``make_workspace``.
        study: See ``make_workspace``.
        changes: See ``make_workspace``.

    Raises:
        DataError: See ``make_workspace``.
        ParamsError: See ``make_workspace``; or what only a workspace can take is asked of the root.
    """
    if data is None and study is None and (params or name or changes):
        raise ParamsError("PARAMS, NAME and SET are for a workspace", "name DATA or STUDY, or edit params.yaml")
    if data is None and needs_data(root, study):
        load_params(root / "params.yaml")
        provide_data(root)
        data = root / "data"
        if study is None:
            return root
    workspace = make_workspace(root, data, params, name, study, changes)
    load_params(workspace / "params.yaml")
    return workspace


def make_workspace(
    root: Path,
    data: Path | None,
    params: Path | None = None,
    name: str | None = None,
    study: str | None = None,
    changes: Sequence[str] = (),
) -> Path:
    """Create (or find again) the workspace of a folder of class folders.

    Args:
        root: The repository's root.
        data: The folder of class folders; it is linked, never copied or changed. None for a study that reads none.
        params: Params file to take; without it a workspace keeps its own, and a new one takes those of its pipeline.
        name: Name of the workspace; the folder's own by default, with the study's in front.
        study: A folder of ``studies/`` whose ``dvc.yaml`` and ``params.yaml`` are used instead of the root's.
        changes: ``KEY=VALUE`` for single keys of these params, such as ``siamese.epochs=5``.

    Returns:
        ``root/workspaces/<name>``.

    Raises:
        DataError: The folder is missing, or the name already stands for another folder.
        ParamsError: The params file or the study is missing, or a change is none.
    """
    pipeline = _pipeline_folder(root, study)
    workspace = root / "workspaces" / (name or "-".join(filter(None, (study, data.resolve().name if data else None))))
    if data is not None:
        _link_data(workspace, data.resolve())
    workspace.mkdir(parents=True, exist_ok=True)
    if not (workspace / ".dvc").is_dir():
        _init_dvc(root, workspace)
    shutil.copyfile(pipeline / "dvc.yaml", workspace / "dvc.yaml")
    (workspace / "workspace.yaml").write_text(f"root: {os.path.relpath(root, workspace)}\n", encoding="utf-8")
    own = data is None or data.resolve() == (root / "data").resolve()
    _place_params(pipeline, workspace, params, changes, own)
    return workspace


def _link_data(workspace: Path, data: Path) -> None:
    """Let the workspace stand for a folder."""
    if not data.is_dir():
        raise DataError(f"{data}: no such folder", "name a folder of class folders: make repro DATA=FOLDER")
    link = workspace / "data"
    if link.is_symlink() and link.resolve() != data:
        raise DataError(
            f"{workspace.name}: this workspace already stands for {link.resolve()}", "add NAME=another-name"
        )
    workspace.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(data, target_is_directory=True)


def _init_dvc(root: Path, workspace: Path) -> None:
    """Make the workspace a DVC project without Git (its results are not committed) on the root's cache."""
    run_dvc(["init", "-q", "--no-scm"], workspace).check_returncode()
    config = "[core]\n    no_scm = True\n    analytics = false\n    check_update = false\n"
    cache = os.path.relpath(root / ".dvc" / "cache", workspace / ".dvc")
    (workspace / ".dvc" / "config").write_text(f"{config}[cache]\n    dir = {cache}\n", encoding="utf-8")
    shutil.copyfile(root / ".dvcignore", workspace / ".dvcignore")


def _pipeline_folder(root: Path, study: str | None) -> Path:
    """Where a pipeline's ``dvc.yaml`` and ``params.yaml`` lie: the root, or the folder of a study."""
    if study is None:
        return root
    known = sorted(path.parent.name for path in (root / "studies").glob("*/dvc.yaml"))
    if study not in known:
        raise ParamsError(f"studies/{study}: no such study", f"known here: {', '.join(known) or 'none'}")
    return root / "studies" / study


def _place_params(pipeline: Path, workspace: Path, params: Path | None, changes: Sequence[str], own: bool) -> None:
    """Put the chosen params into the workspace, or its pipeline's where there are none yet, every key written out.

    The pipeline's hold classes of the root's ``own`` data out of training; of another folder, only who asks for it.
    """
    target = workspace / "params.yaml"
    kept = params is None and target.exists()
    if kept and not changes:
        return
    chosen = load_params(target if kept else params or pipeline / "params.yaml")
    if params is None and not kept and not own:
        split = chosen.split.model_copy(update={"unknown_classes": 0})
        chosen = chosen.model_copy(update={"split": split})
    values = patched(chosen.model_dump(mode="json"), dict(_read_change(change) for change in changes))
    write_params(parse_params(values, source="SET"), target)


def _read_change(change: str) -> tuple[str, Any]:
    """Key and value of ``KEY=VALUE``, the value as YAML reads it."""
    key, equals, value = change.partition("=")
    if not equals:
        raise ParamsError(f"SET {change}: not KEY=VALUE", "write a key of params.yaml, such as siamese.epochs=5")
    return key, yaml.safe_load(value)


def provide_data(root: Path) -> None:
    """See to it that the root has ``data/``: as it is, else from the DVC remote, else the sample.

    A hash that differs from ``data.dvc`` is one line of warning: ``dvc repro`` will then record the new one.
    """
    data = root / "data"
    if data.is_dir() and any(data.iterdir()):
        _warn_if_changed(root)
        return
    if run_dvc(["remote", "list"], root).stdout.strip():
        logger.info("no data/ yet: dvc pull")
        if run_dvc(["pull", "data.dvc"], root).returncode == 0:
            return
        logger.warning("dvc pull did not bring data/: making the sample instead")
    logger.info("no data/ yet: making the sample (or put a folder a class there, or use DATA=FOLDER)")
    made = subprocess.run([sys.executable, "pipelines/sample_data.py"], cwd=root, check=False)
    if made.returncode:
        sys.exit(made.returncode)  # it has said why
    _warn_if_changed(root)


def _warn_if_changed(root: Path) -> None:
    """Say in one line that ``data/`` is not what ``data.dvc`` records."""
    if not (root / "data.dvc").exists():
        return
    # not `dvc status`: a clone's cache is empty, and it then says that without comparing contents
    status = run_dvc(["data", "status", "--json", "data"], root)
    if status.returncode == 0 and "data/" in json.loads(status.stdout).get("uncommitted", {}).get("modified", []):
        logger.warning("data/ differs from what data.dvc records; dvc repro will record it anew")


def stage_times(workspace: Path) -> list[tuple[str, float, float]]:
    """Read every stage's ``timing.json``: (stage, seconds, peak memory in MiB) in the order they were written."""
    rows = []
    for path in sorted((workspace / "reports").glob("**/timing.json"), key=lambda p: p.stat().st_mtime):
        timing = json.loads(path.read_text(encoding="utf-8"))
        stage = path.parent.relative_to(workspace / "reports").as_posix()
        rows.append((stage, float(timing["wall_s"]), float(timing["peak_memory_mib"])))
    return rows


def newest_report(workspace: Path) -> Path | None:
    """The ``report.html`` that was written last: that of the pipeline's last stage; None where there is none."""
    reports = (workspace / "reports").glob("**/report.html")
    return max(reports, key=lambda path: path.stat().st_mtime_ns, default=None)
