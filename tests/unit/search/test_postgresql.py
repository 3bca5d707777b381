"""A real PostgreSQL, started here where Debian's package is there: two workers, one of them killed half-way."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.unit.search.test_worker import GRID, constant, plan
from twinfolio.search.study import open_storage, open_study, planned_trials, unfinished
from twinfolio.search.worker import work

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BINARIES, reason="PostgreSQL is not installed (Debian: apt install postgresql)"),
]


def as_postgres(*command):
    """PostgreSQL refuses to run as root: then as the package's own user."""
    if os.geteuid():
        return list(command)
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


@pytest.fixture
def database():
    """The URL of an empty database that listens on a socket of its own, whose path must be short."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        Path(folder).chmod(0o755)
        yield from served(Path(folder))


def served(folder):
    binaries, data = BINARIES[-1].parent, folder / "data"
    data.mkdir()
    if not os.geteuid():
        shutil.chown(data, "postgres")
        shutil.chown(folder, "postgres")
    run = {"check": True, "capture_output": True, "cwd": folder}
    subprocess.run(as_postgres(str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "me"), **run)
    server = subprocess.Popen(
        as_postgres(str(binaries / "postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses="),
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            ready = subprocess.run([binaries / "pg_isready", "-h", folder], capture_output=True, check=False)
            if ready.returncode == 0:
                break
            time.sleep(0.1)
        yield f"postgresql+psycopg://me@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)


def one_of_two(url, of, log, dies):
    study = open_study(of, open_storage(url, 1, 3))

    def slow(trial, values):
        with log.open("a") as file:
            file.write(f"{trial.user_attrs['cell']}\n")
        trial.report(0.5, 1)
        if dies and len(log.read_text().split()) > 2:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2)
        return constant(trial, values)

    work(study, of.space, slow, poll_s=0.2)


def test_two_workers_share_a_study_and_the_trial_of_the_killed_one_is_begun_again(database, tmp_path):
    of, log = plan("grid", trials=None), tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=one_of_two, args=(database, of, log, dies)) for dies in (True, False)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [-signal.SIGKILL, 0]
    study = open_study(of, open_storage(database, 1, 3))
    assert unfinished(study) == (0, 0)
    trials = planned_trials(study)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert sorted(str(trial.params) for trial in trials) == sorted(map(str, GRID.grid()))
    begun = [int(cell) for cell in log.read_text().split()]
    again = [cell for cell in set(begun) if begun.count(cell) > 1]
    assert len(again) == 1  # the dead worker's; no other was run twice
    (retried,) = [trial for trial in trials if trial.user_attrs["cell"] == again[0]]
    assert retried.intermediate_values == {1: 0.5}
