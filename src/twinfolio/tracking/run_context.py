"""The run of a stage: found or created once, continued after a kill, a child of its pipeline's run."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinfolio.tracking.mlflow_store import (
    find_or_create_experiment,
    mlflow_errors,
    open_store,
    store_lock,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from pytorch_lightning.loggers import MLFlowLogger

logger = logging.getLogger(__name__)

_PARENT_TAG = "mlflow.parentRunId"
_PIPELINE_TAG = "twinfolio.pipeline_key"
_DRIFT_TAG = "twinfolio.params_drift"
_TRIAL_TAG = "twinfolio.trial_state"
_PARAMS_AT_ONCE = 100
_LONGEST_PARAM = 6000
_SAMPLING_SECONDS = 5


@dataclass(frozen=True)
class StageRun:
    """One MLflow run, written to by rank zero only.

    Attributes:
        client: The client of the store.
        uri: Tracking URI.
        run_id: The stage's run.
        parent_run_id: The pipeline's run.
        experiment: Name of the experiment.
        resumed: True where a killed run continues.
    """

    client: MlflowClient
    uri: str
    run_id: str
    parent_run_id: str
    experiment: str
    resumed: bool

    def log_metrics(self, metrics: Mapping[str, Any], step: int = 0, *, parent: bool = False) -> None:
        """Write numbers to the run (or to its parent); what is not a number is skipped.

        Args:
            metrics: Name -> value. ``@``, which MLflow forbids in a name, becomes ``_at_``.
            step: Step of all of them.
            parent: Write to the pipeline's run instead.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        numbers = {key: value for key, value in metrics.items() if isinstance(value, Real)}
        rows = [Metric(key.replace("@", "_at_"), float(value), now, step) for key, value in numbers.items()]
        with mlflow_errors(self.uri):
            for start in range(0, len(rows), 1000):
                self.client.log_batch(self._target(parent), metrics=rows[start : start + 1000])

    def log_folder(self, folder: Path, artifact_path: str | None = None) -> None:
        """Send every file of a folder to the run's artifacts; a folder that is not there is no error."""
        if folder.is_dir():
            with mlflow_errors(self.uri):
                self.client.log_artifacts(self.run_id, str(folder), artifact_path)

    def log_file(self, path: Path, *, parent: bool = False) -> None:
        """Send one file to the run's artifacts, or to its parent's."""
        with mlflow_errors(self.uri):
            self.client.log_artifact(self._target(parent), str(path))

    def set_tags(self, tags: Mapping[str, str], *, parent: bool = False) -> None:
        """Set tags of the run, or of its parent."""
        with mlflow_errors(self.uri):
            for key, value in tags.items():
                self.client.set_tag(self._target(parent), key, value)

    def end(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED, and the pipeline's run with it; its next stage takes that up."""
        with mlflow_errors(self.uri):
            for run_id in (self.run_id, self.parent_run_id):
                self.client.set_terminated(run_id, status)

    def child(self, name: str, params: Mapping[str, Any], state_file: Path) -> TrialRun:
        """The run of a trial below this one, or the one that a killed trial left behind.

        Args:
            name: Of the run.
            params: The trial's values.
            state_file: Remembers the run.
        """
        with mlflow_errors(self.uri):
            run_id = _remembered_run(state_file, self.client)
            if run_id is None:
                experiment_id = self.client.get_run(self.run_id).info.experiment_id
                tags = {_PARENT_TAG: self.run_id}
                run_id = str(self.client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)
            else:
                self.client.update_run(run_id, status="RUNNING")
            _log_params_once(self.client, run_id, params)
        _remember_run(state_file, run_id)
        return TrialRun(self.client, self.uri, run_id, self.run_id, self.experiment, resumed=False)

    def lightning_logger(self) -> MLFlowLogger:
        """A logger for Lightning's Trainer that writes to this run, and neither ends it nor writes its params again."""
        return _stage_logger(self.uri, self.experiment, self.run_id)

    @contextmanager
    def system_metrics(self) -> Iterator[None]:
        """Sample processor, memory, disk, network and GPU every few seconds while the block runs."""
        from mlflow.system_metrics import system_metrics_monitor

        logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
        module: Any = system_metrics_monitor  # untyped
        monitor = module.SystemMetricsMonitor(
            self.run_id, _SAMPLING_SECONDS, resume_logging=self.resumed, tracking_uri=self.uri
        )
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()

    def _target(self, parent: bool) -> str:
        return self.parent_run_id if parent else self.run_id


class TrialRun(StageRun):
    """The run of one trial of a search: it ends without ending the search's."""

    def end(self, status: str, state: str = "") -> None:
        """End the run, and say in a tag how the trial ended: COMPLETE, PRUNED, FAILED or INTERRUPTED."""
        with mlflow_errors(self.uri):
            self.client.set_tag(self.run_id, _TRIAL_TAG, state)
            self.client.set_terminated(self.run_id, status)


def reopen_run(run_id: str, uri: str, root: Path) -> StageRun:
    """A run that another process has started and will end.

    Raises:
        TrackingError: The store cannot be reached, or knows no such run.
    """
    client = open_store(uri, root)
    with mlflow_errors(uri):
        run = client.get_run(run_id)
        experiment = client.get_experiment(run.info.experiment_id).name
    return StageRun(client, uri, run_id, str(run.data.tags.get(_PARENT_TAG)), experiment, resumed=True)


@dataclass(frozen=True)
class RunPlan:
    """What a stage's run is to be.

    Attributes:
        name: Name of the stage's run ("train_siamese l1").
        key: Content key of the stage.
        pipeline: What the pipeline's run is called, before its key.
        pipeline_key: Content key of the pipeline run.
        experiment: Name of the experiment.
        params: Flat params of the stage.
        all_params: Flat params of the pipeline.
        tags: Tags of both (commit, data, versions).
        state_file: File of the work dir that remembers the run until the stage succeeds.
        run_id: A run that someone else made for this stage; None: make one.
    """

    name: str
    key: str
    pipeline: str
    pipeline_key: str
    experiment: str
    params: Mapping[str, Any]
    all_params: Mapping[str, Any]
    tags: Mapping[str, str]
    state_file: Path
    run_id: str | None = None


def start_stage_run(plan: RunPlan, uri: str, root: Path) -> StageRun:
    """Create the run of a stage below its pipeline's run, or continue the one that was killed.

    Raises:
        TrackingError: The store cannot be reached or written.
    """
    client = open_store(uri, root)
    with mlflow_errors(uri):
        with store_lock(uri, root):
            experiment_id = find_or_create_experiment(client, uri, plan.experiment)
            parent_id = _find_or_create_parent(client, experiment_id, plan)
        known = plan.run_id or _remembered_run(plan.state_file, client)
        run_id = known or _create_run(client, experiment_id, parent_id, plan)
        if known:
            client.update_run(known, status="RUNNING")
            logger.info("continuing run %s", known)
        _log_params_once(client, run_id, plan.params)
    _remember_run(plan.state_file, run_id)
    return StageRun(client, uri, run_id, parent_id, plan.experiment, resumed=known is not None)


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _find_or_create_parent(client: MlflowClient, experiment_id: str, plan: RunPlan) -> str:
    """The pipeline run of these params, data and code; call it under ``store_lock``."""
    found = client.search_runs([experiment_id], f"tags.`{_PIPELINE_TAG}` = '{plan.pipeline_key}'", max_results=1)
    if found:
        client.update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)
    tags = {**plan.tags, _PIPELINE_TAG: plan.pipeline_key}
    run = client.create_run(experiment_id, tags=tags, run_name=f"{plan.pipeline} {plan.pipeline_key[:8]}")
    _log_params_once(client, run.info.run_id, plan.all_params)
    return str(run.info.run_id)


def _create_run(client: MlflowClient, experiment_id: str, parent_id: str, plan: RunPlan) -> str:
    """A new run of the stage. The parent goes in as a tag: ``MLFLOW_RUN_ID`` would make the child its own parent."""
    tags = {**plan.tags, "twinfolio.stage_key": plan.key, _PARENT_TAG: parent_id}
    return str(client.create_run(experiment_id, tags=tags, run_name=plan.name).info.run_id)


def _log_params_once(client: MlflowClient, run_id: str, params: Mapping[str, Any]) -> None:
    """Write the params a run does not have; MLflow's are immutable, so one that differs goes to a tag."""
    from mlflow.entities import Param

    wanted = {key: str(value)[:_LONGEST_PARAM] for key, value in params.items()}
    present = client.get_run(run_id).data.params
    new = [Param(key, value) for key, value in wanted.items() if key not in present]
    for start in range(0, len(new), _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=new[start : start + _PARAMS_AT_ONCE])
    drift = {key: value for key, value in wanted.items() if present.get(key, value) != value}
    if drift:
        client.set_tag(run_id, _DRIFT_TAG, json.dumps(drift, sort_keys=True))


def _remembered_run(state_file: Path, client: MlflowClient) -> str | None:
    """The run a killed stage left behind; None where there is none, or the store has forgotten it."""
    from mlflow.exceptions import MlflowException

    try:
        run_id = str(json.loads(state_file.read_text(encoding="utf-8"))["run_id"])
        found = client.get_run(run_id)
    except (FileNotFoundError, ValueError, KeyError, MlflowException):
        return None
    return run_id if found.info.lifecycle_stage == "active" else None


def _remember_run(state_file: Path, run_id: str) -> None:
    """Write the run's id where the same stage started again will look for it."""
    state_file.parent.mkdir(parents=True, exist_ok=True)
    temporary = state_file.with_suffix(".tmp")
    temporary.write_text(json.dumps({"run_id": run_id}), encoding="utf-8")
    temporary.replace(state_file)


def _stage_logger(uri: str, experiment: str, run_id: str) -> MLFlowLogger:
    """Build the logger; its class stands here because Lightning takes 14 s to import."""
    from pytorch_lightning.loggers import MLFlowLogger

    class StageLogger(MLFlowLogger):
        """Writes metrics only: the stage ends its own run, and has written its params."""

        def log_hyperparams(self, *_: Any, **__: Any) -> None:
            """Params are written once, by the stage."""

        def finalize(self, status: str = "success") -> None:
            """The run goes on after ``fit``: the stage ends it."""

    return StageLogger(experiment_name=experiment, tracking_uri=uri, run_id=run_id, log_model=False)
