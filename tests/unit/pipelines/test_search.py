"""What a search checks and where its study lies; stages are only played, workers are small scripts."""

import importlib
import json
from itertools import count
from types import SimpleNamespace

import pytest
from optuna.exceptions import TrialPruned

from twinfolio.errors import DataError, ParamsError
from twinfolio.params.file import parse_params
from twinfolio.tracking.run_context import StageRun

STORAGE = "TWINFOLIO_SEARCH_STORAGE"
RETRIEVAL, EMBED_MS = "val/retrieval/mAP", "timing/embed_ms"
WORKER = """
import json
import os
import sys
from pathlib import Path

names = ("TWINFOLIO_SEARCH_WORKER", "TWINFOLIO_RUN_ID", "OMP_NUM_THREADS")
number, *others = [os.environ[name] for name in names]
Path(f"worker{number}.json").write_text(json.dumps(others))
sys.exit(int(number in Path(sys.argv[0]).stem))
"""
STOPPED = """
import os
import signal
import time
from pathlib import Path

number = os.environ["TWINFOLIO_SEARCH_WORKER"]


def stop(*_):
    Path(f"stopped{number}").touch()
    raise SystemExit


signal.signal(signal.SIGTERM, stop)
Path(f"began{number}").touch()
while not Path("began1").exists():
    time.sleep(0.01)
if number == "0":
    os.kill(os.getppid(), signal.SIGINT)
time.sleep(60)
"""


@pytest.fixture
def module(stage_module):
    return importlib.import_module("_search")


@pytest.fixture
def search(module, tmp_path, monkeypatch):
    """``search(jobs=2)``: a search in a workspace that has what trials start from."""
    for name in ("store", "classify"):
        (tmp_path / "home" / "outputs" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.delenv(STORAGE, raising=False)

    def make(trainer=None, **section):
        declared = {"space": {"siamese.lr": {"log": [0.1, 1]}}, "trials": 2, "sampler": "random"} | section
        return module.Search(tmp_path / "home", parse_params({"search": declared, "trainer": trainer or {}}))

    return make


def studies(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.db"))


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (
            {"objectives": {"val/retrieval/map": "maximize"}},
            f"search.objectives: train_siamese@l2 reports no val/retrieval/map; choose of {RETRIEVAL}, ",
        ),
        (
            {"objectives": {RETRIEVAL: "maximize"}, "target": "classify", "space": {"classify.lr": {"log": [0.1, 1]}}},
            f"search.objectives: classify reports no {RETRIEVAL}; choose of val/classification/accuracy, ",
        ),
        (
            {"objectives": {"n_parameters": "minimize"}, "pruner": "median"},
            f"search.pruner = median: n_parameters is known at the end of a trial only; set it to none, "
            f"or search.objectives to one of {RETRIEVAL}",
        ),
        (
            {"objectives": {EMBED_MS: "minimize"}, "pruner": "asha"},
            f"search.pruner = asha: {EMBED_MS} is known at the end of a trial only; set it to none, ",
        ),
        ({"trainer": {"devices": 2}}, "trainer.devices: a trial trains on one device; set it to 1, and search.jobs to"),
        ({"trainer": {"num_nodes": 2}}, "trainer.devices: a trial trains on one device"),
        ({"space": {"siamese.rate": {"log": [0.1, 1]}}}, "search.space.siamese.rate: unknown key"),
        ({"space": {}}, "search.space is empty"),
        (
            {"space": {"siamese.head": {"categorical": ["fusion", "distnce"]}}},
            "search.space: siamese.head = 'distnce': must be 'distance', ",
        ),
        ({"space": {"siamese.epochs": {"int": [-3, 2]}}}, "search.space: siamese.epochs = -3: must be greater than"),
        (
            {"space": {"siamese.embedding": {"float": [8, 64]}}},
            "search.space: siamese.embedding = 8.0: must be a valid",
        ),
        (
            {"space": {"siamese.augmentation.scale": {"categorical": [[0.5, "a"]]}}},
            "search.space: siamese.augmentation.scale.1 = 'a'",
        ),
    ],
)
def test_what_is_wrong_in_every_trial_is_one_line_before_a_study_is_made(search, tmp_path, declared, words):
    one = search(**declared)
    with pytest.raises(ParamsError) as caught:
        _ = one.study
    line = str(caught.value)
    assert line.startswith(words)
    assert "\n" not in line
    assert not (tmp_path / "home" / ".twinfolio").exists()


def test_objectives_that_are_known_at_the_end_only_may_be_searched_without_a_pruner(search):
    one = search(objectives={"n_parameters": "minimize", EMBED_MS: "minimize", RETRIEVAL: "maximize"})
    assert one.study.metric_names == ["n_parameters", EMBED_MS, RETRIEVAL]
    assert [direction.name for direction in one.study.directions] == ["MINIMIZE", "MINIMIZE", "MAXIMIZE"]


def test_a_study_lies_in_its_workspace_unless_another_storage_is_named(search, tmp_path):
    assert len(search(study="mine").study.trials) == 2
    assert studies(tmp_path) == ["home/.twinfolio/search/mine/study.db"]
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    assert len(search(study="ours", storage=shared).study.trials) == 2
    assert studies(tmp_path) == ["home/.twinfolio/search/mine/study.db", "shared.db"]


def test_a_storage_that_no_file_should_hold_wins_over_params(search, tmp_path, monkeypatch):
    monkeypatch.setenv(STORAGE, f"sqlite:///{tmp_path / 'secret.db'}")
    one = search(storage=f"sqlite:///{tmp_path / 'shared.db'}")
    assert len(one.study.trials) == 2
    assert studies(tmp_path) == ["secret.db"]


@pytest.fixture
def model(tmp_path):
    """A tiny saved model."""
    import torch

    from twinfolio.models.bundle import save_model
    from twinfolio.models.embedder import build_siamese

    with torch.random.fork_rng():
        embedder, head = build_siamese("lu_pixels", weights="none", head="distance", distance="l2", embedding=2)
    save_model(tmp_path / "model", embedder=embedder.eval(), head=head, class_layer=None, config={"kind": "siamese"})
    return tmp_path / "model"


def test_embedding_one_image_takes_time(module, model):
    assert module.embed_ms(model) > 0


def test_embed_ms_is_a_median_in_milliseconds(module, model, monkeypatch):
    seconds = iter([9.0, *[0.25] * 29])  # the first image waits for what is set up once
    clock = count()
    now = [0.0]

    def perf_counter():
        now[0] += next(seconds) if next(clock) % 2 else 0.0
        return now[0]

    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=perf_counter))
    assert module.embed_ms(model) == 250


def shared(search, tmp_path, script, name="script.py"):
    """Run trials in two processes of a script."""
    (tmp_path / name).write_text(script)
    search.run(SimpleNamespace(run=SimpleNamespace(run_id="0123")), tmp_path / name)


def test_each_worker_knows_its_number_its_run_and_its_share_of_the_cores(search, module, tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda process: range(7))
    monkeypatch.chdir(tmp_path)  # they work in the search's home, wherever that is
    shared(search(jobs=2), tmp_path, WORKER)
    written = {path.name: json.loads(path.read_text()) for path in (tmp_path / "home").glob("worker*")}
    assert written == {"worker0.json": ["0123", "3"], "worker1.json": ["0123", "3"]}


def test_more_workers_than_cores_have_one_each(search, module, tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda process: range(1))
    shared(search(jobs=2), tmp_path, WORKER)
    assert json.loads((tmp_path / "home" / "worker1.json").read_text()) == ["0123", "1"]


@pytest.mark.parametrize(
    ("count", "visible", "of_workers"),
    [(0, None, [None] * 3), (2, None, ["0", "1", "0"]), (2, "3,GPU-5f", ["3", "GPU-5f", "3"])],
)
def test_workers_go_round_the_gpus_that_the_search_may_use(module, monkeypatch, count, visible, of_workers):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [module._gpu(number).get("CUDA_VISIBLE_DEVICES") for number in range(3)] == of_workers


@pytest.mark.parametrize(("failing", "stopped"), [("script1.py", 1), ("script01.py", 2)])
def test_workers_that_stop_are_counted(search, tmp_path, failing, stopped):
    with pytest.raises(DataError, match=f"^search: {stopped} of 2 workers stopped; see their last lines above$"):
        shared(search(jobs=2), tmp_path, WORKER, failing)
    assert len(list((tmp_path / "home").glob("worker*"))) == 2


@pytest.mark.usefixtures("ctrl_c")
def test_no_worker_goes_on_where_the_search_is_interrupted(search, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        shared(search(jobs=2), tmp_path, STOPPED)
    assert {path.name for path in (tmp_path / "home").glob("stopped*")} == {"stopped0", "stopped1"}


@pytest.fixture
def played(search, module, monkeypatch):
    """A search whose target costs nothing: ``fates[i](stage)`` is called in its i-th run. What its runs were told."""
    told = SimpleNamespace(one=search(objectives={"n_parameters": "minimize", RETRIEVAL: "maximize"}), fates=[])
    told.ends, told.children, told.metrics = [], [], []

    def child(parent, name, values, state_file):
        told.children.append((parent.run_id, name, sorted(values), state_file.name))
        return SimpleNamespace(run_id="trial", end=end, log_metrics=told.metrics.append)

    def end(status, state):
        told.ends.append((status, state))

    def play(stage):
        (stage.report_dir / "metrics.json").write_text(json.dumps({RETRIEVAL: 0.5, "n_parameters": 7, "more": 1}))
        if told.fates:
            told.fates.pop(0)(stage)

    def work(run_id):
        store = SimpleNamespace(get_run=lambda run_id: SimpleNamespace(info=SimpleNamespace(run_id=run_id)))
        told.one.work(StageRun(store, "uri", run_id, "pipeline", "experiment", resumed=False))

    told.work = work
    monkeypatch.setattr(StageRun, "child", child)
    monkeypatch.setattr(module.Search, "_callbacks", lambda *_: [])  # the real ones take as long to import as Lightning
    monkeypatch.setattr(importlib.import_module("_trial"), "MAINS", {"train_siamese": play})
    return told


def raising(error):
    def fate(stage):
        raise error

    return fate


def test_a_finished_trial_has_its_objectives_its_metrics_and_an_ended_run(played):
    played.work("search")
    assert [trial.values for trial in played.one.study.trials] == [[7, 0.5], [7, 0.5]]
    metrics = {RETRIEVAL: 0.5, "n_parameters": 7, "more": 1}
    assert [trial.user_attrs["metrics"] for trial in played.one.study.trials] == played.metrics == [metrics] * 2
    assert played.children == [("search", f"trial-000{number}", ["siamese.lr"], "run.json") for number in (0, 1)]
    assert played.ends == [("FINISHED", "COMPLETE")] * 2


def test_a_trial_that_is_pruned_or_fails_ends_its_run_and_the_next_one_begins(played):
    played.fates = [raising(TrialPruned()), raising(DataError("data/: empty", "fill it"))]
    played.work("search")
    assert played.ends == [("KILLED", "PRUNED"), ("FAILED", "FAILED")]
    assert [trial.state.name for trial in played.one.study.trials] == ["PRUNED", "FAIL"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interrupted_trial_is_begun_again_under_its_name_below_the_first_run(played, stop):
    played.fates = [raising(stop)]
    with pytest.raises(type(stop)):
        played.work("first")
    played.work("second")
    assert {parent for parent, *_ in played.children} == {"first"}
    assert sorted(name for _, name, *_ in played.children) == ["trial-0000", "trial-0000", "trial-0001"]
    assert played.ends == [("KILLED", "INTERRUPTED"), ("FINISHED", "COMPLETE"), ("FINISHED", "COMPLETE")]
