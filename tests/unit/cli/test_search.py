"""``twinfolio search`` where the stage's script is a stub."""

import signal
import subprocess
import sys

import pytest

STUB = "import sys\nfrom pathlib import Path\nPath('ran').write_text(' '.join(sys.argv[1:]))\nsys.exit({status})\n"


@pytest.fixture
def repository(tmp_path):
    """``repository(3)``: a repository whose search ends with status 3."""

    def make(status):
        root = tmp_path / "repository"
        (root / "pipelines").mkdir(parents=True)
        (root / "params.yaml").write_text("{}")
        (root / "workspace.yaml").write_text("root: .\n")
        (root / "pipelines" / "search.py").write_text(STUB.format(status=status))
        return root

    return make


@pytest.fixture
def workspace(repository):
    """``workspace(3)``: a workspace of that repository."""

    def make(status):
        here = repository(status) / "workspaces" / "pages"
        here.mkdir(parents=True)
        (here / "params.yaml").write_text("{}")
        (here / "workspace.yaml").write_text("root: ../..\n")
        return here

    return make


def search(folder):
    """Exit status and standard error of ``twinfolio search`` there: a process, since the stage takes its place."""
    command = [sys.executable, "-c", "import sys; from twinfolio.cli import main; sys.exit(main(['search']))"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("status", [0, 2, 130])
def test_a_search_runs_in_its_workspace_and_gives_its_exit_status(workspace, status):
    here = workspace(status)
    assert search(here) == (status, "")
    assert (here / "ran").read_text() == ""
    assert not (here.parent.parent / "ran").exists()


def test_the_repository_is_a_workspace_too(repository):
    root = repository(0)
    assert search(root) == (0, "")
    assert (root / "ran").exists()


def test_a_repository_that_names_no_root_is_its_own(repository):
    root = repository(3)
    (root / "workspace.yaml").unlink()
    assert search(root) == (3, "")


@pytest.mark.parametrize("missing", ["params.yaml", "workspace.yaml", "../../pipelines/search.py"])
def test_a_folder_that_is_no_workspace_is_one_line(workspace, missing):
    here = workspace(0)
    (here / missing).unlink()
    line = "twinfolio: pages: no workspace here; go to the repository or to one of its workspaces/\n"
    assert search(here) == (2, line)
    assert not (here / "ran").exists()


def test_a_signal_reaches_the_stage_and_waits_for_it(workspace):
    here = workspace(0)
    stub = """
import signal, sys, time
from pathlib import Path

def stop(*_):
    time.sleep(1)
    Path("queued again").touch()
    sys.exit(143)

signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""
    (here.parent.parent / "pipelines" / "search.py").write_text(stub)
    command = [sys.executable, "-c", "import sys; from twinfolio.cli import main; sys.exit(main(['search']))"]
    process = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert (here / "queued again").exists()
