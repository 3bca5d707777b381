"""A study through its one command."""

import re
from pathlib import Path
from subprocess import CompletedProcess

from tests.pipeline.clones import run


def reproduce(clone: Path, study: str, *options: str, check: bool = True) -> tuple[list[str], CompletedProcess[str]]:
    """Run ``repro.py`` in the study's workspace ``tiny``: the stages that ran, and the finished process."""
    command = ("python", "pipelines/repro.py", "--study", study, "--name", "tiny", *options)
    done = run(*command, cwd=clone, check=check)
    return re.findall(r"Running stage '(\S+)'", done.stdout), done


def assert_one_line(done: CompletedProcess[str], said: str) -> None:
    """It failed, and said why in one line without a traceback."""
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert len([line for line in printed.splitlines() if said in line]) == 1, printed
    assert "Traceback" not in printed
