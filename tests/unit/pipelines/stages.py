"""The stages of a study, one after another in the test's own process."""

import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.conftest import PIPELINES
from twinfolio.params import Params
from twinfolio.params.file import load_params, parse_params, patched


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """Work in a folder, with the stage scripts at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PIPELINES))
        patch.chdir(root)
        yield root


def study_params(study: str, **changes: Any) -> Params:
    """A study's own params, with other values for some keys."""
    plain = load_params(PIPELINES.parent / "studies" / study / "params.yaml").model_dump(mode="json")
    return parse_params(patched(plain, changes), source="params.yaml")


def run_stage_here(name: str, params: Params, item: str | None = None) -> None:
    """Run a stage's ``main``; what ``run_stage`` adds is tested with the other stages."""
    stage = importlib.import_module("_stage").Stage
    places = [Path(part, name, item or "") for part in ("outputs", "reports", "work")]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    one = stage(name, item, params, Path("data"), *places, rank_zero=True, key="0" * 64)
    importlib.import_module(name).main(one)
    (places[1] / "timing.json").write_text(json.dumps(one.facts))


def run_study_here(params: Params, trainings: Sequence[str], *, first: str, each: str, last: str) -> None:
    """Run a study's first stage, its second for each training, and its last."""
    run_stage_here(first, params)
    for training in trainings:
        run_stage_here(each, params, training)
    run_stage_here(last, params)
