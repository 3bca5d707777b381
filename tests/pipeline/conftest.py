"""One tiny pipeline, shared by the session: real DVC, MLflow on SQLite and Lightning on striped images."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.clones import commit, make_clone, run


@pytest.fixture(scope="session")
def new_clone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return lambda name: make_clone(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def tiny(new_clone: Callable[[str], Path]) -> Path:
    """A clone whose pipeline has run once and is committed. Tests must leave it as they found it."""
    clone = new_clone("tiny")
    run("dvc", "repro", cwd=clone)
    commit(clone, "reproduced")
    return clone
