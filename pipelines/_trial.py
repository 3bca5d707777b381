"""One trial of a search: the stages that its values touch, run in a folder of the trial's own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import augment
import classify
import split
import train_scratch
import train_siamese
from _sections import SECTIONS
from _stage import Stage
from twinfolio.errors import DataError, ParamsError, TrackingError
from twinfolio.params import Params
from twinfolio.params.file import parse_params, write_params

if TYPE_CHECKING:
    from twinfolio.tracking.run_context import StageRun

Found = TypeVar("Found")
MAINS = {module.__name__: module.main for module in (split, augment, classify, train_siamese, train_scratch)}
"""What each stage does."""
UPSTREAM = {
    "classify": ("split", "augment"),
    "train_siamese": ("split", "augment", "classify"),
    "train_scratch": ("split", "augment"),
}
"""The stages a target depends on, in the order they run."""
OUTPUTS = {"augment": ("augment", "store")}
"""Folders of ``outputs/`` that a stage writes, where they do not bear its name."""
STOPPED = (KeyboardInterrupt, SystemExit, TrackingError, OSError)
"""What ends a trial that is none of its own fault: it is begun again."""
READS = {
    "split": (),
    "augment": ("split",),
    "classify": ("store",),
    "train_siamese": ("store", "classify"),
    "train_scratch": ("store",),
}
"""Folders of ``outputs/`` that a stage reads; the classifier only where a Siamese model starts from it."""


@dataclass(frozen=True)
class Trials:
    """What all trials of a search have in common.

    Attributes:
        home: The workspace, whose outputs the trials start from.
        params: Its params, as plain values.
        target: Stage whose metrics count ("train_siamese").
        item: Its item of a DVC matrix ("l2"), or None.
        stages: What each trial runs, the target last.
        folder: Where the trials' folders lie.
    """

    home: Path
    params: Mapping[str, Any]
    target: str
    item: str | None
    stages: tuple[str, ...]
    folder: Path

    @property
    def data_dir(self) -> Path:
        """The images, wherever the trial runs."""
        return (self.home / os.environ.get("TWINFOLIO_DATA", "data")).resolve()

    def run(
        self,
        name: str,
        values: Mapping[str, Any],
        run: StageRun | None,
        callbacks: Sequence[Any],
        measure: Callable[[dict[str, float], Path], Found],
    ) -> Found:
        """Train with some values, and measure.

        Args:
            name: Of the trial's folder; what a killed trial left there is gone on with.
            values: By dotted key.
            run: The trial's MLflow run.
            callbacks: Of the target's Trainer.
            measure: From the target's metrics and its model folder to what is wanted of them.

        Returns:
            What ``measure`` gives. The trial's params and reports stay in its folder; models and checkpoints go.
        """
        from twinfolio.params.file import patched

        params = parse_params(patched(self.params, values), source="search.space")
        place = self.folder / name
        with _own_folder(place, self.home, self._written(), params):
            for stage in self.stages:
                last = stage == self.target
                item = self.item if last else None
                own = Path(stage, item or "")
                one = Stage(
                    name=stage, item=item, params=params, data_dir=self.data_dir, output_dir=Path("outputs") / own,
                    report_dir=Path("reports") / own, work_dir=Path("work") / own, rank_zero=True, key=name,
                    run=run if last else None, callbacks=tuple(callbacks) if last else (),
                )  # fmt: skip
                if not last and (one.output_dir / "done").exists():
                    continue  # a killed trial had come so far
                for folder in (one.output_dir, one.report_dir, one.work_dir):
                    folder.mkdir(parents=True, exist_ok=True)
                MAINS[stage](one)
                (one.output_dir / "done").touch()
            target = Path(self.target, self.item or "")
            metrics = json.loads((Path("reports") / target / "metrics.json").read_text(encoding="utf-8"))
            return measure(metrics, Path("outputs") / target / "model")

    def _written(self) -> set[str]:
        return {name for stage in self.stages for name in OUTPUTS.get(stage, (stage,))}


def prepare_trials(home: Path, params: Params, keys: Sequence[str], folder: Path) -> Trials:
    """Find out which stages a search runs.

    Args:
        home: The workspace.
        params: Its params.
        keys: The dotted keys that are searched.
        folder: Where the trials' folders go.

    Raises:
        ParamsError: A key does not exist, or the target does not depend on it.
        DataError: What the trials start from is missing.
    """
    target, _, item = params.search.target.partition("@")
    chain = (*UPSTREAM[target], target)
    plain = params.model_dump(mode="json")
    for key in keys:
        section = key.partition(".")[0]
        known = sorted({name for stage in chain for name in SECTIONS[stage] if "." not in name})  # train.minutes
        if section not in known:
            raise ParamsError(
                f"search.space.{key}: {params.search.target} does not depend on it",
                f"search keys of {', '.join(known)}, or choose another search.target",
            )
        _check_key(plain, key)
    touched = [any(key.partition(".")[0] in SECTIONS[stage] for key in keys) for stage in chain]
    first = touched.index(True) if any(touched) else len(chain) - 1
    classifier = params.siamese.start == "classifier" or "siamese.start" in keys
    _check_there(home, chain[first:], classifier)
    plain["trainer"]["devices"] = 1  # auto would take them all
    return Trials(home, plain, target, item or None, chain[first:], folder)


def _check_there(home: Path, stages: Sequence[str], classifier: bool) -> None:
    written = {name for stage in stages for name in OUTPUTS.get(stage, (stage,))}
    for name in sorted({name for stage in stages for name in READS[stage]} - written):
        if (name != "classify" or classifier) and not (home / "outputs" / name).exists():
            raise DataError(f"outputs/{name}: missing", "run the pipeline first: make repro STUDY=search")


def _check_key(params: Mapping[str, Any], key: str) -> None:
    here: Any = params
    for depth, name in enumerate(key.split(".")):
        if depth and key.split(".")[depth - 1].endswith("_options"):
            return  # the arguments of another library: it says which it knows
        if not isinstance(here, Mapping) or name not in here:
            known = ", ".join(sorted(here)) if isinstance(here, Mapping) else "nothing below it"
            raise ParamsError(f"search.space.{key}: unknown key", f"known here: {known}")
        here = here[name]


@contextmanager
def _own_folder(place: Path, home: Path, written: set[str], params: Params) -> Iterator[None]:
    """Work in the trial's folder, where the home's other outputs are linked; what is large goes afterwards."""
    (place / "outputs").mkdir(parents=True, exist_ok=True)
    write_params(params, place / "params.yaml")
    for output in (home / "outputs").iterdir():
        link = place / "outputs" / output.name
        if output.name not in written:
            link.unlink(missing_ok=True)
            link.symlink_to(output.resolve())
    before = Path.cwd()
    os.chdir(place)
    finished = True
    try:
        yield
    except STOPPED:
        finished = False  # its checkpoint is what the next attempt goes on with
        raise
    finally:
        os.chdir(before)
        if finished:
            for folder in (place / "outputs", place / "work"):
                shutil.rmtree(folder, ignore_errors=True)
