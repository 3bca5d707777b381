"""Where runs are kept: the URI, the locked creation of the store, and one-line errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from twinfolio.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_KIND_TAG = "mlflow.experimentKind"


def store_root(code_root: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The repository whose store takes the runs of the code at ``code_root``.

    ``dvc exp run --queue`` and ``--temp`` run a copy of the repository in ``.dvc/tmp/exps/`` and remove it afterwards:
    their runs belong to the workspace they came from. DVC names it in ``DVC_ROOT``; the copy's own place says the same.

    Args:
        code_root: The folder that holds the ``pipelines/`` now running.
        environ: Environment variables.
    """
    parts = code_root.parts
    for position in range(len(parts) - 3):
        if parts[position : position + 3] == (".dvc", "tmp", "exps"):
            return Path(*parts[:position])
    dvc_root = environ.get("DVC_ROOT")
    if dvc_root and (Path(dvc_root) / "pipelines" / "_stage.py").is_file():
        return Path(dvc_root)
    return code_root


def tracking_uri(root: Path, environ: Mapping[str, str] = os.environ) -> str:
    """``MLFLOW_TRACKING_URI`` where it is set, else the SQLite file ``mlflow.db`` at ``root``."""
    return environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{root.resolve() / 'mlflow.db'}"


def public_uri(uri: str) -> str:
    """A URI without machine paths, user names or passwords, fit for a file that others see."""
    scheme, _, rest = uri.partition("://")
    if scheme == "sqlite":
        return f"{_SQLITE}{Path(rest).name}"
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}" if rest else scheme


def open_store(uri: str, root: Path) -> MlflowClient:
    """Open a store; the first process creates it while the others wait.

    Four processes that first touch a new SQLite store together would race in its migrations, so that three fail.

    Args:
        uri: Tracking URI.
        root: Folder for the lock of a store that is not a local file.

    Raises:
        TrackingError: The store cannot be reached or written.
    """
    _quieten()
    from mlflow import MlflowClient  # takes 4 s: outside the lock

    with store_lock(uri, root), mlflow_errors(uri), _fail_soon(uri):
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        client = MlflowClient(uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        return client


def find_or_create_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """The id of an experiment; call it under ``store_lock``.

    Artifacts of a SQLite store go to ``mlartifacts/`` beside it (the default would follow the working directory).

    Raises:
        TrackingError: The experiment was deleted.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        tags = {_KIND_TAG: "custom_model_development"}  # else MLflow's pages open among tools for language models
        return str(client.create_experiment(name, artifact_location=_artifact_location(uri), tags=tags))
    if found.lifecycle_stage == "deleted":
        raise TrackingError(f"MLflow experiment {name} is deleted", "restore it, or set another tracking.experiment")
    return str(found.experiment_id)


def store_lock(uri: str, root: Path) -> FileLock:
    """The lock under which one process at a time creates a store, an experiment or a pipeline run."""
    path = Path(f"{_database(uri)}.lock") if uri.startswith(_SQLITE) else root / ".twinfolio" / "tracking.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, timeout=600)


@contextmanager
def mlflow_errors(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into one ``TrackingError`` that names the store."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        mend = "see that MLFLOW_TRACKING_URI, or mlflow.db and its folder, can be reached and written"
        raise TrackingError(f"MLflow store {public_uri(uri)}: {lines[0]}", mend) from error


@contextmanager
def _fail_soon(uri: str) -> Iterator[None]:
    """Give a server one retry while it is first asked (the default is minutes); later calls keep the default."""
    key = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    if uri.startswith(_SQLITE) or key in os.environ:
        yield
        return
    os.environ[key] = "1"
    try:
        yield
    finally:
        del os.environ[key]


def _quieten() -> None:
    """No usage reports to anyone, unless the user asks for them."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def _database(uri: str) -> Path:
    """The file of a SQLite URI."""
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]).resolve()


def _artifact_location(uri: str) -> str | None:
    """``mlartifacts/`` beside a SQLite store; any other store decides for itself."""
    return (_database(uri).parent / "mlartifacts").as_uri() if uri.startswith(_SQLITE) else None
