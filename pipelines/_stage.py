"""The one wrapper around every stage script: params, logging, identity, MLflow run, timing, errors.

A stage script is ``def main(stage: Stage) -> None`` and, below it,
``if __name__ == "__main__": run_stage("classify", main, inputs=["outputs/store"])``.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
# Threads that spin at every barrier bring training nearly to a stop where other programs want the cores too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A queued DVC experiment runs a copy of the repository: its scripts must import the copy's code, and not that of the
# workspace, which is what the installed package points to.
sys.path.insert(0, str(ROOT / "src"))

from _sections import public_params, sections_of  # noqa: E402
from twinfolio.errors import DataError, TwinfolioError  # noqa: E402
from twinfolio.exit_codes import exit_code  # noqa: E402
from twinfolio.logging import rank, set_up_logging  # noqa: E402
from twinfolio.params import Params  # noqa: E402
from twinfolio.params.file import load_params, write_params  # noqa: E402
from twinfolio.reporting.tables import write_json  # noqa: E402
from twinfolio.tracking import identity  # noqa: E402
from twinfolio.tracking.mlflow_store import public_uri, store_root, tracking_uri  # noqa: E402
from twinfolio.tracking.resources import ResourceMeter  # noqa: E402
from twinfolio.tracking.run_context import RunPlan, StageRun, flatten, start_stage_run  # noqa: E402

if TYPE_CHECKING:
    from pytorch_lightning import Callback
    from pytorch_lightning.loggers import MLFlowLogger

logger = logging.getLogger("twinfolio.stage")

TRAINING = ("classify", "train_siamese", "train_scratch", "refit", "oneshot", "judged_pairs")
LAST = "evaluate"
BEFORE_STORE = ("sample_data", "split")
RUN_ID = "TWINFOLIO_RUN_ID"
STAGE_KEY = "TWINFOLIO_STAGE_KEY"
RUNS, KEYPOINTS = Path(".twinfolio", "runs"), Path(".twinfolio", "keypoints.sqlite")
"""Work folders of stages that have not ended, and key points by content: a cache, which may be deleted."""


@dataclass(frozen=True)
class Stage:
    """What a stage's ``main`` is given.

    Attributes:
        name: The stage's name in dvc.yaml ("train_siamese").
        item: Its item of a DVC matrix ("l1"), or None.
        params: The whole of params.yaml.
        data_dir: Folder of class folders: ``data``, or what ``TWINFOLIO_DATA`` names.
        output_dir: ``outputs/<name>[/<item>]``; exists.
        report_dir: ``reports/<name>[/<item>]``; exists.
        work_dir: Folder for checkpoints, the same one when a killed stage is started again; exists.
        rank_zero: True in the one process that writes files.
        key: Content key of params, inputs and source; names the work dir.
        run: The MLflow run (rank zero only).
        callbacks: More callbacks of a training stage's Trainer.
        facts: What ``record`` collected.
    """

    name: str
    item: str | None
    params: Params
    data_dir: Path
    output_dir: Path
    report_dir: Path
    work_dir: Path
    rank_zero: bool
    key: str
    run: StageRun | None = None
    callbacks: tuple[Callback, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def lightning_logger(self) -> MLFlowLogger | None:
        """A logger for Lightning's Trainer on this stage's MLflow run; None on ranks other than zero."""
        return self.run.lightning_logger() if self.run else None

    def log_metrics(self, metrics: Mapping[str, Any], step: int = 0) -> None:
        """Write numbers to the MLflow run; those of ``metrics.json`` are written by themselves at the end."""
        if self.run:
            self.run.log_metrics(metrics, step)

    def log_artifacts(self, folder: Path, artifact_path: str | None = None) -> None:
        """Send a folder to the MLflow run; the report folder is sent by itself at the end."""
        if self.run:
            self.run.log_folder(folder, artifact_path)

    def record(self, **facts: Any) -> None:
        """Add facts to ``timing.json`` (``n_devices``, ``images_per_s``), which no result depends on."""
        self.facts.update(facts)


def run_stage(
    name: str,
    main: Callable[[Stage], None],
    *,
    inputs: Sequence[str],
    item: str | None = None,
    item_option: str | None = None,
    choices: Sequence[str] | None = ("l1", "l2", "cosine"),
) -> NoReturn:
    """Run a stage and end the process: 0 done, 2 an error the user can mend (one line), 130/143 interrupted.

    Args:
        name: The stage's name in dvc.yaml.
        main: Does the work; writes below ``stage.output_dir`` and ``stage.report_dir``.
        inputs: Files and folders the stage reads, relative to the workspace; ``data`` is the data folder and
            ``{item}`` the item.
        item: Item of a DVC matrix.
        item_option: Command-line option that gives the item instead ("--distance").
        choices: Items the option takes; None: whatever params name.
    """
    set_up_logging(name)
    item = _parse_item(item_option, choices) if item_option else item
    leave(exit_code(lambda: _run(name, item, main, inputs)))


def leave(status: int) -> NoReturn:
    """End the process without Python's last look at every object: two seconds, where torch and Lightning were used."""
    gc.freeze()
    sys.exit(status)


def _run(name: str, item: str | None, main: Callable[[Stage], None], inputs: Sequence[str]) -> None:
    """Prepare, call ``main``, and let rank zero write what came of it."""
    params = load_params()
    source = identity.source_hash(ROOT)
    stage = _prepare(name, item, params, inputs, source)
    if not stage.rank_zero:
        main(stage)
        return
    root = store_root(ROOT)
    with ResourceMeter() as meter:
        run = start_stage_run(_plan(stage, source), tracking_uri(root), root)
        # handed down to the processes Lightning starts; MLFLOW_RUN_ID would make a run its own parent
        os.environ.update({RUN_ID: run.run_id, STAGE_KEY: stage.key})
        with _ending(run), _system_metrics(stage, run):
            main(replace(stage, run=run))
            _finish(stage, run, meter, source)
    shutil.rmtree(stage.work_dir)


def _prepare(name: str, item: str | None, params: Params, inputs: Sequence[str], source: str) -> Stage:
    """Name the stage's run by its content and make its folders."""
    data_dir = Path(os.environ.get("TWINFOLIO_DATA", "data"))
    paths = [data_dir if text == "data" else Path(text.format(item=item)) for text in inputs]
    primary = rank() == 0 and os.environ.get("NODE_RANK", "0") == "0"
    key = None if primary else os.environ.get(STAGE_KEY)
    key = key or identity.stage_key({"item": item, **sections_of(name, params)}, _hash_inputs(paths), source)
    place = Path(name, item or "")
    output_dir, report_dir, work_dir = Path("outputs") / place, Path("reports") / place, RUNS / place / key[:16]
    for folder in (output_dir, report_dir, work_dir):
        folder.mkdir(parents=True, exist_ok=True)
    return Stage(name, item, params, data_dir, output_dir, report_dir, work_dir, primary, key)


def _plan(stage: Stage, source: str) -> RunPlan:
    """What the stage's MLflow run is to be called, and what it carries."""
    public = public_params(stage.params)
    data = identity.data_fingerprint(stage.data_dir)
    tags = {
        "twinfolio.git_commit": identity.git_commit(ROOT),
        "twinfolio.data_fingerprint": data,
        "twinfolio.source_hash": source,
        **{f"version.{name}": version for name, version in identity.versions().items()},
    }
    return RunPlan(
        name=" ".join(filter(None, (stage.name, stage.item))),
        key=stage.key,
        pipeline=_workspace(),
        pipeline_key=identity.pipeline_key(Path("params.yaml").read_bytes(), data, source),
        experiment=stage.params.tracking.experiment,
        params=flatten(sections_of(stage.name, public)),
        all_params=flatten(public.model_dump(mode="json")),
        tags=tags,
        state_file=stage.work_dir / "run.json",
        run_id=os.environ.get(RUN_ID),
    )


def _workspace() -> str:
    """What the pipeline's run is called: by its workspace, or, at the root and in its queued copies, by the data."""
    here = Path.cwd()
    return here.name if here.parent.name == "workspaces" else "data"


def _hash_inputs(paths: Sequence[Path]) -> str:
    """Hash the inputs by content.

    Raises:
        DataError: One of them is missing.
    """
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: missing", "run `make repro`, which makes it first")
    return identity.content_hash(paths)


def _finish(stage: Stage, run: StageRun, meter: ResourceMeter, source: str) -> None:
    """Write ``timing.json`` and ``run.json``, and send the report's own files to MLflow."""
    if identity.source_hash(ROOT) != source:
        logger.warning("the source changed during the run: DVC will record the new one for results of the old")
    timing = {**meter.summary(), **stage.facts}
    write_json(stage.report_dir / "timing.json", timing)
    facts = {
        "stage": stage.name,
        "item": stage.item,
        "key": stage.key,
        "run_id": run.run_id,
        "pipeline_run_id": run.parent_run_id,
        "experiment": run.experiment,
        "store": public_uri(run.uri),
        "git_commit": identity.git_commit(ROOT),
        "source_hash": source,
    }
    write_json(stage.output_dir / "run.json", facts)
    metrics = _read_json(stage.report_dir / "metrics.json")
    run.log_metrics(metrics)
    run.log_metrics({f"timing/{key}": value for key, value in timing.items()})
    run.set_tags({"twinfolio.device": timing["device"], **_data_hash(stage)})
    run.set_tags(_data_hash(stage), parent=True)
    run.log_folder(stage.report_dir)
    if stage.name == LAST:
        run.log_metrics(metrics, parent=True)
        public = stage.work_dir / "params.yaml"
        write_params(public_params(stage.params), public)
        run.log_file(public, parent=True)


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON file, or nothing where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _data_hash(stage: Stage) -> dict[str, str]:
    """A tag with the hash of the images the store was made of; before ``augment`` there is no store, or an old one."""
    info = {} if stage.name in BEFORE_STORE else _read_json(Path("outputs", "store", "store.json"))
    return {"twinfolio.data_hash": info["data_hash"]} if "data_hash" in info else {}


@contextmanager
def _ending(run: StageRun) -> Iterator[None]:
    """End the run as FINISHED, FAILED or KILLED, and the pipeline's run with it: it runs only while a stage does."""
    try:
        yield
    except BaseException as error:
        status = "KILLED" if isinstance(error, (KeyboardInterrupt, SystemExit)) else "FAILED"
        try:
            run.end(status)
        except TwinfolioError as second:  # the first error is the one to tell
            logger.warning("%s", second)
        raise
    run.end("FINISHED")


def _system_metrics(stage: Stage, run: StageRun) -> AbstractContextManager[None]:
    """Sample the machine while a training stage runs, if params.yaml wants it."""
    wanted = stage.name in TRAINING and stage.params.tracking.system_metrics
    return run.system_metrics() if wanted else nullcontext()


def _parse_item(option: str, choices: Sequence[str] | None) -> str:
    """Read the one option of a stage that has items."""
    parser = argparse.ArgumentParser()
    parser.add_argument(option, required=True, choices=choices, dest="item")
    return str(parser.parse_args().item)
