"""Trials of a search, whose stages are only played."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.exceptions import TrialPruned

from twinfolio.errors import DataError, ParamsError
from twinfolio.params.file import load_params, parse_params


@pytest.fixture
def module(stage_module):
    return importlib.import_module("_trial")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A workspace whose pipeline has run."""
    for name in ("split", "augment", "store", "classify", "train_siamese"):
        folder = tmp_path / "home" / "outputs" / name
        folder.mkdir(parents=True)
        (folder / "file").write_text(f"{name} of the home")
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.delenv("TWINFOLIO_DATA", raising=False)
    return tmp_path / "home"


@pytest.fixture
def prepare(module, home, tmp_path):
    def call(*keys, target="train_siamese@l2", **sections):
        params = parse_params({"search": {"target": target}, **sections})
        return module.prepare_trials(home, params, keys, tmp_path / "trials")

    return call


@pytest.fixture
def played(module, monkeypatch):
    """Stages that cost nothing; what each was given, in order. ``fate[name](stage)`` is called at a stage's end."""
    seen = SimpleNamespace(stages=[], fate={}, place=None, params=None)

    def play(stage):
        seen.stages.append(stage)
        seen.place, seen.params = Path.cwd(), load_params()
        (stage.output_dir / "model").mkdir(exist_ok=True)
        (stage.output_dir / "model" / "weights").write_text(stage.name)
        (stage.work_dir / "last.ckpt").write_text(stage.name)
        (stage.report_dir / "metrics.json").write_text(json.dumps({"val/m": stage.params.siamese.lr}))
        if stage.name in seen.fate:
            seen.fate[stage.name](stage)

    monkeypatch.setattr(module, "MAINS", dict.fromkeys(module.MAINS, play))
    return seen


def measure(metrics, model):
    return [metrics["val/m"]]


def run(trials, values, name="trial-0000"):
    return trials.run(name, values, None, (), measure)


def raising(error):
    def fate(stage):
        raise error

    return fate


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def names(stages):
    return [stage.name for stage in stages]


@pytest.mark.parametrize(
    ("target", "keys", "stages"),
    [
        ("train_siamese@l2", ["siamese.lr"], ("train_siamese",)),
        ("train_siamese@cosine", ["siamese.lr", "classify.lr"], ("classify", "train_siamese")),
        ("train_siamese@l2", ["augment.max_copies"], ("augment", "classify", "train_siamese")),
        ("train_siamese@l2", ["siamese.lr", "split.seed"], ("split", "augment", "classify", "train_siamese")),
        ("classify", ["classify.lr"], ("classify",)),
        ("train_scratch", ["scratch.lr"], ("train_scratch",)),
        ("train_scratch", ["augment.max_copies"], ("augment", "train_scratch")),
        ("train_scratch", ["split.seed"], ("split", "augment", "train_scratch")),
    ],
)
def test_only_stages_that_the_space_touches_run_and_those_after_them(prepare, target, keys, stages):
    trials = prepare(*keys, target=target)
    assert trials.stages == stages
    assert (trials.target, trials.item) == (stages[-1], target.partition("@")[2] or None)


@pytest.mark.parametrize(
    ("target", "key", "words"),
    [
        ("train_siamese@l2", "siamese.learning_rate", ["unknown key", "known here: ", " lr, ", " margin, "]),
        ("train_siamese@l2", "siamese.augmentation.crp", ["unknown key", "known here: colour_jitter, crop, "]),
        ("train_siamese@l2", "siamese.lr.low", ["unknown key", "known here: nothing below it"]),
        ("train_siamese@l2", "nonsense.x", ["search keys of augment, classify, siamese, split, trainer,"]),
        ("train_siamese@l2", "scratch.lr", ["train_siamese@l2 does not depend on it", "another search.target"]),
        (
            "train_scratch",
            "classify.lr",
            ["train_scratch does not depend on it", "of augment, scratch, split, trainer"],
        ),
        ("classify", "siamese.lr", ["classify does not depend on it"]),
    ],
)
def test_a_key_that_cannot_be_searched_is_one_line_with_those_that_can(prepare, target, key, words):
    with pytest.raises(ParamsError) as caught:
        prepare(key, target=target)
    line = str(caught.value)
    assert line.startswith(f"search.space.{key}: ")
    assert "\n" not in line
    for word in words:
        assert word in line


def test_arguments_of_another_library_are_not_checked_here(prepare):
    assert prepare("siamese.trunk_options.depth").stages == ("train_siamese",)


@pytest.mark.parametrize(
    ("key", "missing"),
    [("siamese.lr", "store"), ("siamese.lr", "classify"), ("classify.lr", "store"), ("augment.seed", "split")],
)
def test_what_trials_start_from_must_be_there(prepare, home, key, missing):
    (home / "outputs" / missing).rename(home / "elsewhere")
    with pytest.raises(DataError, match=f"^outputs/{missing}: missing; run the pipeline first: make repro"):
        prepare(key)


def test_what_trials_make_themselves_need_not_be_there(prepare, home):
    for name in ("augment", "store", "classify", "train_siamese"):
        (home / "outputs" / name).rename(home / name)
    assert prepare("augment.max_copies").stages[0] == "augment"


def test_no_classifier_is_needed_where_the_siamese_model_starts_from_weights(prepare, home):
    (home / "outputs" / "classify").rename(home / "elsewhere")
    assert prepare("siamese.lr", siamese={"start": "weights"}).stages == ("train_siamese",)


def test_a_trial_runs_in_a_folder_of_its_own_with_its_values_among_the_params(prepare, played, home, tmp_path):
    trials = prepare("siamese.lr", siamese={"epochs": 7})
    seen = {}

    def look(stage):
        seen.update({path.name: path.is_symlink() and path.resolve() for path in Path("outputs").iterdir()})

    played.fate["train_siamese"] = look
    assert run(trials, {"siamese.lr": 0.25}) == [0.25]
    assert played.place == tmp_path / "trials" / "trial-0000"
    assert (played.params.siamese.lr, played.params.siamese.epochs) == (0.25, 7)
    assert played.params == played.stages[0].params == load_params(played.place / "params.yaml")
    others = {name: home / "outputs" / name for name in ("split", "augment", "store", "classify")}
    assert seen == others | {"train_siamese": False}
    assert Path.cwd() == home


def test_nothing_of_the_home_changes_though_a_trial_runs_the_same_stages(prepare, played, home):
    trials, before = prepare("split.seed"), files(home)
    run(trials, {"split.seed": 3})
    assert names(played.stages) == ["split", "augment", "classify", "train_siamese"]
    assert files(home) == before


def test_the_target_is_measured_before_its_model_goes(prepare, played):
    found = []

    def look(metrics, model):
        found.append((metrics, (model / "weights").read_text()))
        return [1.0, 2.0]

    trials = prepare("classify.lr")
    assert trials.run("t", {"classify.lr": 0.5}, None, (), look) == [1.0, 2.0]
    assert found == [({"val/m": trials.params["siamese"]["lr"]}, "train_siamese")]


def test_only_the_target_has_the_trials_run_and_callbacks(prepare, played):
    prepare("classify.lr").run("t", {"classify.lr": 0.5}, "the run", ["a callback"], measure)
    given = [(stage.name, stage.item, stage.run, stage.callbacks) for stage in played.stages]
    assert given == [("classify", None, None, ()), ("train_siamese", "l2", "the run", ("a callback",))]


@pytest.mark.parametrize(("variable", "place"), [(None, "data"), ("others/images", "others/images")])
def test_the_images_are_those_of_the_home(prepare, played, home, monkeypatch, variable, place):
    if variable:
        monkeypatch.setenv("TWINFOLIO_DATA", variable)
    run(prepare("siamese.lr"), {"siamese.lr": 0.5})
    assert played.stages[0].data_dir == home / place


def test_what_is_large_goes_and_params_and_reports_stay(prepare, played):
    run(prepare("siamese.lr"), {"siamese.lr": 0.5})
    assert set(files(played.place)) == {"params.yaml", "reports/train_siamese/l2/metrics.json"}
    assert {path.name for path in played.place.iterdir()} == {"params.yaml", "reports"}


@pytest.mark.parametrize("error", [TrialPruned(), DataError("data/: empty", "fill it"), ZeroDivisionError()])
def test_what_is_large_goes_where_a_trial_is_pruned_or_fails_too(prepare, played, home, error):
    played.fate["train_siamese"] = raising(error)
    with pytest.raises(type(error)):
        run(prepare("classify.lr"), {"classify.lr": 0.5})
    assert {path.name for path in played.place.iterdir()} == {"params.yaml", "reports"}
    assert Path.cwd() == home
    assert (home / "outputs" / "store" / "file").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interrupted_trial_goes_on_where_it_was(prepare, module, played, home, monkeypatch, stop):
    trials, found = prepare("augment.max_copies"), []
    played.fate["train_siamese"] = raising(stop)
    with pytest.raises(type(stop)):
        run(trials, {"augment.max_copies": 2})
    assert names(played.stages) == ["augment", "classify", "train_siamese"]
    assert Path.cwd() == home

    def go_on(stage):
        found.append((stage.work_dir / "last.ckpt").read_text())
        found.append(Path("outputs/classify/model/weights").read_text())
        (stage.report_dir / "metrics.json").write_text('{"val/m": 0.5}')

    none_else = dict.fromkeys(module.MAINS, raising(AssertionError("this stage was done")))
    monkeypatch.setattr(module, "MAINS", none_else | {"train_siamese": go_on})
    assert run(prepare("augment.max_copies"), {"augment.max_copies": 2}) == [0.5]
    assert found == ["train_siamese", "classify"]
    assert {path.name for path in played.place.iterdir()} == {"params.yaml", "reports"}


def test_a_stage_that_was_interrupted_itself_runs_again(prepare, played):
    trials = prepare("augment.max_copies")
    played.fate["classify"] = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(trials, {"augment.max_copies": 2})
    played.stages.clear()
    played.fate.clear()
    run(trials, {"augment.max_copies": 2})
    assert names(played.stages) == ["classify", "train_siamese"]


def test_trials_of_other_names_share_nothing(prepare, played):
    trials = prepare("siamese.lr")
    played.fate["train_siamese"] = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(trials, {"siamese.lr": 0.5}, "trial-0000")
    played.fate.clear()
    assert run(trials, {"siamese.lr": 0.125}, "trial-0001") == [0.125]
    assert (played.place.parent / "trial-0000" / "work").exists()


def test_values_that_params_do_not_allow_are_one_line_before_anything_runs(prepare, played):
    with pytest.raises(ParamsError, match=r"^search\.space: siamese\.lr = -1\.0: must be greater than 0"):
        run(prepare("siamese.lr"), {"siamese.lr": -1.0})
    assert played.stages == []
