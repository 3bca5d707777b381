"""What a search and its worker processes share: the study, its trials, and how one trial is tracked."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NoReturn

from _stage import ROOT, RUN_ID, Stage, leave
from _trial import STOPPED, Trials, prepare_trials
from twinfolio.errors import DataError, ParamsError
from twinfolio.exit_codes import exit_code
from twinfolio.logging import set_up_logging
from twinfolio.params import Params
from twinfolio.params.file import check_value, load_params, patched
from twinfolio.search.space import parse_space
from twinfolio.search.study import METRICS, Plan, first_attempt, open_storage, open_study, unfinished
from twinfolio.search.worker import work
from twinfolio.training.reported import WATCHED, reported_metrics
from twinfolio.training.rounds import MOST_ROUNDS

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

    from twinfolio.tracking.run_context import StageRun, TrialRun

logger = logging.getLogger(__name__)

FOLDER = Path(".twinfolio", "search")
EMBED_MS = "timing/embed_ms"
"""An objective that no stage reports: median milliseconds to embed one image, by itself."""
STORAGE = "TWINFOLIO_SEARCH_STORAGE"
"""A storage URL that no file should hold, since it has a password."""
WORKER = "TWINFOLIO_SEARCH_WORKER"
"""Which of ``search.jobs`` a process is."""
_TIMED_IMAGES = 30
_RUN = "mlflow_run"


@dataclass(frozen=True)
class Search:
    """A search in a workspace.

    Attributes:
        home: The workspace.
        params: Its params.
    """

    home: Path
    params: Params

    @property
    def section(self) -> str:
        """The target's section of params."""
        return {"classify": "classify", "train_scratch": "scratch"}.get(self.params.search.target, "siamese")

    @cached_property
    def plan(self) -> Plan:
        """What the study is to do."""
        search = self.params.search
        return Plan(
            name=search.study, space=parse_space(search.space), objectives=dict(search.objectives),
            trials=search.trials, sampler=search.sampler, pruner=search.pruner, seed=search.seed,
            startup=search.startup, least_epochs=search.least_epochs,
            most_epochs=getattr(self.params, self.section).epochs or MOST_ROUNDS, factor=search.factor,
            retries=search.retries,
        )  # fmt: skip

    @cached_property
    def trials(self) -> Trials:
        """The stages each trial runs."""
        return prepare_trials(self.home, self.params, self.plan.space.keys, self.home / FOLDER / self.plan.name)

    @cached_property
    def study(self) -> Study:
        """The study, all trials queued."""
        search, plan, _ = self.params.search, self.plan, self.trials  # the space is checked before anything is made
        self._check()
        url = (
            os.environ.get(STORAGE)
            or search.storage
            or f"sqlite:///{(self.home / FOLDER / plan.name / 'study.db').resolve()}"
        )
        return open_study(plan, open_storage(url, search.heartbeat_s, search.retries))

    def run(self, stage: Stage, script: Path) -> None:
        """Finish the study as a stage's run, here or in ``search.jobs`` processes of the stage's script."""
        assert stage.run is not None
        if self.params.search.jobs == 1:
            self.work(stage.run)
        else:
            self._share(stage.run, script)

    def work(self, run: StageRun) -> None:
        """Run trials in this process until none is left; they are children of the run that began the study."""
        parent = self._parent(run)
        work(self.study, self.plan.space, lambda trial, values: self._trial(trial, values, parent))

    def _parent(self, run: StageRun) -> StageRun:
        from mlflow.exceptions import MlflowException

        first = self.study.user_attrs.get(_RUN)
        if first is None:
            self.study.set_user_attr(_RUN, run.run_id)
            return run
        try:
            return replace(run, run_id=run.client.get_run(first).info.run_id)
        except MlflowException:  # another machine's MLflow store knows no such run
            return run

    def _check(self) -> None:
        """What would be wrong in every trial, before anything is trained."""
        search, (stage, _, _) = self.params.search, self.params.search.target.partition("@")
        for dimension in self.plan.space.dimensions:
            for value in dimension.ends():
                check_value(patched(self.trials.params, {dimension.key: value}), dimension.key, "search.space")
        known = (*reported_metrics(stage), EMBED_MS)
        for name in search.objectives:
            if name not in known:
                raise ParamsError(
                    f"search.objectives: {search.target} reports no {name}", f"choose of {', '.join(known)}"
                )
            if search.pruner != "none" and name not in WATCHED[stage]:
                raise ParamsError(
                    f"search.pruner = {search.pruner}: {name} is known at the end of a trial only",
                    f"set it to none, or search.objectives to one of {', '.join(WATCHED[stage])}",
                )
        if self.params.trainer.devices not in (1, "auto") or self.params.trainer.num_nodes != 1:
            raise ParamsError("trainer.devices: a trial trains on one device", "set it to 1, and search.jobs to many")

    def _trial(self, trial: Trial, values: dict[str, Any], parent: StageRun) -> Sequence[float]:
        name = f"trial-{first_attempt(trial.study, trial.number):04d}"
        with trial_run(parent, name, values, self.trials.folder / name) as run:
            trial.set_user_attr("mlflow_run", run.run_id)
            return self.trials.run(
                name, values, run, self._callbacks(trial), lambda *of: self._measure(trial, run, *of)
            )

    def _callbacks(self, trial: Trial) -> list[Any]:
        from twinfolio.search.pruning import Pruning

        return [Pruning(trial, next(iter(self.plan.objectives)))] if len(self.plan.objectives) == 1 else []

    def measured(self, trial: Trial, model: Path) -> dict[str, float]:
        """More numbers of a trained trial, by the model folder it wrote; a study may add its own."""
        return {EMBED_MS: embed_ms(model)} if EMBED_MS in self.plan.objectives else {}

    def _measure(self, trial: Trial, run: StageRun, metrics: dict[str, float], model: Path) -> list[float]:
        metrics = metrics | self.measured(trial, model)
        trial.set_user_attr(METRICS, metrics)
        run.log_metrics(metrics)
        return [float(metrics[name]) for name in self.plan.objectives]

    def _share(self, run: StageRun, script: Path) -> None:
        """Run trials in processes with their share of cores or GPUs; a DataError where one of them failed."""
        jobs = self.params.search.jobs
        self._parent(run)
        threads = str(max(1, len(os.sched_getaffinity(0)) // jobs))
        workers: list[subprocess.Popen[bytes]] = []
        try:
            for number in range(jobs):
                own = {RUN_ID: run.run_id, WORKER: str(number), "OMP_NUM_THREADS": threads}
                command = [sys.executable, str(script.resolve())]
                workers.append(subprocess.Popen(command, cwd=self.home, env={**os.environ, **own}))
            codes = [worker.wait() for worker in workers]
        finally:  # interrupted: none goes on without its parent
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait()
        failed = [number for number, code in enumerate(codes) if code]
        if failed and any(unfinished(self.study)):
            raise DataError(f"search: {len(failed)} of {jobs} workers stopped", "see their last lines above")
        if failed:
            logger.warning("%d of %d workers stopped; the others finished their trials", len(failed), jobs)


@contextmanager
def trial_run(parent: StageRun, name: str, values: dict[str, Any], folder: Path) -> Iterator[TrialRun]:
    """The MLflow run of a trial, ended as the trial ends; a folder that a killed one left has its run."""
    from optuna.exceptions import TrialPruned

    run = parent.child(name, values, folder / "run.json")
    try:
        yield run
    except TrialPruned:
        run.end("KILLED", state="PRUNED")
        raise
    except STOPPED:
        run.end("KILLED", state="INTERRUPTED")
        raise
    except BaseException:
        run.end("FAILED", state="FAILED")
        raise
    run.end("FINISHED", state="COMPLETE")


def is_worker() -> bool:
    """Whether this process is one of ``search.jobs``."""
    return WORKER in os.environ


def run_worker(kind: type[Search]) -> NoReturn:
    """Be one of ``search.jobs`` processes: trials only; the process that started it tracks and reports."""
    from twinfolio.tracking.mlflow_store import store_root, tracking_uri
    from twinfolio.tracking.run_context import reopen_run

    def worker() -> None:
        os.environ |= _gpu(int(os.environ[WORKER]))  # before anything asks for one
        root = store_root(ROOT)
        kind(Path.cwd(), load_params()).work(reopen_run(os.environ[RUN_ID], tracking_uri(root), root))

    set_up_logging(f"search {os.environ[WORKER]}")
    leave(exit_code(worker))


def embed_ms(model: Path) -> float:
    """Median milliseconds to embed one image of the trunk's size, by itself, on the processor."""
    import numpy as np

    from twinfolio.models.bundle import load_model

    loaded = load_model(model)
    height, width = loaded.embedder.size or loaded.embedder.info.input_size
    image = np.zeros((1, height, width, len(loaded.embedder.info.mean)), np.uint8)
    seconds = []
    for _ in range(_TIMED_IMAGES):
        start = time.perf_counter()
        loaded.embed_uint8(image)
        seconds.append(time.perf_counter() - start)
    return 1000 * median(seconds)


def _gpu(number: int) -> dict[str, str]:
    """The GPU of a worker: they go round those that this process may use."""
    import torch

    count = torch.cuda.device_count()
    if not count:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    return {"CUDA_VISIBLE_DEVICES": visible[number % count]}
