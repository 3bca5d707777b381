"""Real servers, started here where Debian's packages are there: two workers, one of them killed half-way."""

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

POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
MARIADB = shutil.which("mariadbd")
pytestmark = pytest.mark.slow


def as_user(name, *command):
    """PostgreSQL refuses to run as root, MariaDB complains: then as the package's own user."""
    if os.geteuid():
        return list(command)
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--clear-groups", *command]


@pytest.fixture(
    params=[
        pytest.param(
            "postgresql",
            marks=pytest.mark.skipif(not POSTGRESQL, reason="PostgreSQL is missing (Debian: apt install postgresql)"),
        ),
        pytest.param(
            "mysql",
            marks=pytest.mark.skipif(not MARIADB, reason="MariaDB is missing (Debian: apt install mariadb-server)"),
        ),
    ]
)
def database(request):
    """The URL of an empty database that listens on a socket of its own, whose path must be short."""
    with tempfile.TemporaryDirectory(prefix="db") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "data").mkdir()
        start, is_ready, url = {"postgresql": postgresql, "mysql": mariadb}[request.param](folder)
        server = subprocess.Popen(start, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while subprocess.run(is_ready, capture_output=True, check=False).returncode:
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
            yield url
        finally:
            server.send_signal(signal.SIGINT if request.param == "postgresql" else signal.SIGTERM)
            server.wait(20)


def prepared(folder, user, *command):
    """Run what makes the data folder, as the server's user."""
    if not os.geteuid():
        shutil.chown(folder / "data", user)
        shutil.chown(folder, user)
    subprocess.run(as_user(user, *command), check=True, capture_output=True, cwd=folder)


def postgresql(folder):
    """What starts it, what tells that it is ready, and its URL."""
    binaries, data = POSTGRESQL[-1].parent, str(folder / "data")
    prepared(folder, "postgres", str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "me")
    start = (str(binaries / "postgres"), "-D", data, "-k", str(folder), "-c", "listen_addresses=")
    ready = [binaries / "pg_isready", "-h", folder]
    return as_user("postgres", *start), ready, f"postgresql+psycopg://me@/postgres?host={folder}"


def mariadb(folder):
    """Likewise."""
    data, socket = f"--datadir={folder / 'data'}", folder / "socket"
    prepared(folder, "mysql", "mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal")
    start = (MARIADB, "--no-defaults", data, f"--socket={socket}", "--skip-networking", f"--pid-file={folder / 'pid'}")
    ready = ["mariadb", "--no-defaults", f"--socket={socket}", "--user=root", "-e", "CREATE DATABASE optuna"]
    return as_user("mysql", *start), ready, f"mysql+pymysql://root@localhost/optuna?unix_socket={socket}"


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
