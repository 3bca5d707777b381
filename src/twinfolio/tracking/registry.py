"""The model registry: one version a model, and an alias that only a better model takes over."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twinfolio.tracking.mlflow_store import mlflow_errors, store_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from twinfolio.tracking.embedding import Embedding
    from twinfolio.tracking.run_context import StageRun

logger = logging.getLogger(__name__)

PairedTest = Callable[[Sequence[float], Sequence[float], Sequence[str]], float]
"""(new values, old values, groups) -> two-sided p of their mean difference."""

CHAMPION = "champion"
_FINGERPRINT = "fingerprint"
_SCOPE = "scope"
_QUERIES = "validation_ap.json"


@dataclass(frozen=True)
class Scope:
    """What two models must share to be compared.

    Attributes:
        data_hash: Hash of the images.
        split_key: Protocol, seed and groups of the split, in any fixed wording.
    """

    data_hash: str
    split_key: str

    @property
    def key(self) -> str:
        """16 hexadecimal digits for both."""
        return hashlib.sha256(f"{self.data_hash}\0{self.split_key}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Promotion:
    """What became of a new version.

    Attributes:
        alias: ``champion``, or ``champion-<scope>`` where ``champion`` stands for other data or another split.
        moved: True where the new version took the alias.
        previous: The version that had it before, None if there was none.
        difference: Mean AP of the new minus the previous over their common queries.
        p: Of the paired test; None without a previous version.
    """

    alias: str
    moved: bool
    previous: str | None = None
    difference: float | None = None
    p: float | None = None

    def in_words(self) -> str:
        """One line for the log."""
        if self.previous is None:
            return f"alias {self.alias} goes to it, the first of this data and split"
        if self.p is None:
            return f"alias {self.alias} stays with version {self.previous}"
        tested = f"validation mAP {self.difference:+.4f} against version {self.previous}, p = {self.p:.3f}"
        return f"alias {self.alias} {'moves to it' if self.moved else 'stays'}: {tested}"


def register_model(
    run: StageRun,
    folder: Path,
    name: str,
    *,
    scope: Scope,
    image_shape: tuple[int, int, int],
    tags: Mapping[str, str],
    root: Path,
) -> str:
    """Register a model folder with its signature, once: the same model of the same data keeps its version.

    The version holds the folder (safetensors and JSON), the code that reads it and a signature: uint8 images
    (N, H, W, C) in, float32 embeddings (N, D) out. It loads with ``mlflow.pyfunc.load_model``. Lightning's checkpoints
    stay out.

    Args:
        run: The stage's run, which becomes the version's source.
        folder: The model folder.
        name: Name in the registry.
        scope: Data and split of the model.
        image_shape: Height, width, channels of a row of the store.
        tags: Further tags of the version ("pretrained", "protocol").
        root: Folder for the lock of a store that is not a local file.

    Returns:
        The version.

    Raises:
        ModelError: The folder holds no usable model.
        TrackingError: The registry cannot be written.
    """
    from twinfolio.tracking.embedding import open_embedding

    embedding = open_embedding(folder)
    wanted = {**tags, "data_hash": scope.data_hash, _SCOPE: scope.key, _FINGERPRINT: embedding.fingerprint}
    with mlflow_errors(run.uri), store_lock(run.uri, root):
        for version in _versions(run.client, name):
            if all(version.tags.get(key) == wanted[key] for key in (_FINGERPRINT, _SCOPE)):
                logger.info("model %s is registered already, as version %s", name, version.version)
                return str(version.version)
        new = _log_model(run, folder, name, embedding, image_shape)
        for key, value in wanted.items():
            run.client.set_model_version_tag(name, new, key, value)
    return new


def promote(
    run: StageRun,
    name: str,
    version: str,
    *,
    per_query_ap: Mapping[str, float],
    groups: Mapping[str, str],
    scope: Scope,
    test: PairedTest,
    root: Path,
    alpha: float = 0.05,
) -> Promotion:
    """Give a version the alias if it beats the present champion of the same data and split.

    Better is: a higher mean AP over the validation queries of both, with p < alpha in the paired test. The first model
    of its data and split takes the alias without a test. ``champion`` stands for the data and split of the model that
    took it first; a model of others goes by ``champion-<scope>``, so that models are compared on equal terms only.

    Args:
        run: The stage's run.
        name: Name in the registry.
        version: The new version.
        per_query_ap: Validation query's image_id -> AP of the new version; kept with its run.
        groups: image_id -> group, the unit of the paired test.
        scope: Data and split of the new version.
        test: The paired test.
        root: Folder for the lock of a store that is not a local file.
        alpha: Level of the test.

    Raises:
        TrackingError: The registry cannot be read or written.
    """
    client = run.client
    with mlflow_errors(run.uri), store_lock(run.uri, root):
        own_run = str(client.get_model_version(name, version).run_id)
        client.log_dict(own_run, dict(sorted(per_query_ap.items())), _QUERIES)
        alias, previous = _present_champion(client, name, scope)
        if previous is None:
            result = Promotion(alias, moved=True)
        elif str(previous.version) == version:
            result = Promotion(alias, moved=False, previous=version)
        else:
            old = _stored_queries(run, previous)
            result = _compare(alias, str(previous.version), per_query_ap, old, groups, test, alpha)
        if result.moved:
            client.set_registered_model_alias(name, alias, version)
    logger.info("model %s version %s: %s", name, version, result.in_words())
    return result


def _compare(
    alias: str,
    previous: str,
    new: Mapping[str, float],
    old: Mapping[str, float],
    groups: Mapping[str, str],
    test: PairedTest,
    alpha: float,
) -> Promotion:
    """Compare two versions over their common queries."""
    common = sorted(new.keys() & old.keys())
    if not common:
        return Promotion(alias, moved=False, previous=previous)
    ours, theirs = [new[key] for key in common], [old[key] for key in common]
    difference = (sum(ours) - sum(theirs)) / len(common)
    p = test(ours, theirs, [groups.get(key, key) for key in common])
    return Promotion(alias, difference > 0 and p < alpha, previous, difference, p)


def _present_champion(client: MlflowClient, name: str, scope: Scope) -> tuple[str, ModelVersion | None]:
    """The alias a model of this scope goes by, and the version that has it."""
    champion = _by_alias(client, name, CHAMPION)
    if champion is None or champion.tags.get(_SCOPE) == scope.key:
        return CHAMPION, champion
    alias = f"{CHAMPION}-{scope.key[:8]}"
    return alias, _by_alias(client, name, alias)


def _by_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version an alias points to, None where there is no such alias."""
    version = client.get_registered_model(name).aliases.get(alias)
    return None if version is None else client.get_model_version(name, version)


def _stored_queries(run: StageRun, version: ModelVersion) -> dict[str, float]:
    """The AP of each validation query that was kept when a version was registered; empty where it is gone."""
    import mlflow
    from mlflow.exceptions import MlflowException

    run_id = str(version.run_id)
    try:
        uri = f"{run.client.get_run(run_id).info.artifact_uri}/{_QUERIES}"
        return dict(mlflow.artifacts.load_dict(uri))
    except (MlflowException, OSError):
        logger.warning("version %s has lost its validation scores: the alias stays", version.version)
        return {}


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    """All versions of a name, also one that is not registered yet."""
    return list(client.search_model_versions(f"name = '{name}'"))


def _log_model(run: StageRun, folder: Path, name: str, embedding: Embedding, image_shape: tuple[int, int, int]) -> str:
    """Log the folder as a model of the run and register it."""
    import mlflow
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    import twinfolio

    width = embedding.embed(np.zeros((1, *image_shape), np.uint8)).shape[1]
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype("uint8"), (-1, *image_shape))]),
        Schema([TensorSpec(np.dtype("float32"), (-1, width))]),
    )
    mlflow.set_tracking_uri(run.uri)
    mlflow.set_registry_uri(run.uri)
    # without it the model's files go to the default experiment, in ./mlruns
    mlflow.set_experiment(experiment_id=run.client.get_run(run.run_id).info.experiment_id)
    with _quiet():
        info = Model.log(
            artifact_path=None,
            name="model",
            flavor=mlflow.pyfunc,
            run_id=run.run_id,
            registered_model_name=name,
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={"model": str(folder)},
            code_paths=[str(Path(twinfolio.__file__).parent)],
            pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in embedding.packages],
            signature=signature,
        )
    return str(info.registered_model_version)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without MLflow's advice on type hints and input examples: the signature is given."""
    logging.getLogger("mlflow.models.signature").setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
