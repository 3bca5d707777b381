import json
import logging
import os
import shutil
from pathlib import Path

import pytest
import yaml

from twinfolio.errors import DataError, ParamsError
from twinfolio.params import Params
from twinfolio.params.file import load_params
from twinfolio.workspace import (
    choose_workspace,
    make_workspace,
    needs_data,
    newest_report,
    provide_data,
    run_dvc,
    stage_times,
)

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "dvc.yaml").write_text("vars: [workspace.yaml]\nstages: {}\n")
    (root / ".dvcignore").write_text("")
    (root / "params.yaml").write_text("split: {seed: 1}\n")
    return root


def folder(tmp_path, name="my images"):
    (tmp_path / name / "a").mkdir(parents=True)
    return tmp_path / name


def test_a_workspace_links_the_data_and_takes_the_root_params(root, tmp_path):
    data = folder(tmp_path)
    workspace = make_workspace(root, data)
    assert workspace == root / "workspaces" / "my images"
    assert (workspace / "data").resolve() == data
    assert load_params(workspace / "params.yaml") == load_params(root / "params.yaml")
    assert (workspace / "workspace.yaml").read_text() == "root: ../..\n"
    assert (workspace / ".dvc/config").exists()


def test_a_workspace_keeps_its_own_params_until_others_are_named(root, tmp_path):
    data = folder(tmp_path)
    workspace = make_workspace(root, data)
    (workspace / "params.yaml").write_text("split: {seed: 2}\n")
    make_workspace(root, data)
    assert load_params(workspace / "params.yaml").split.seed == 2
    other = tmp_path / "other.yaml"
    other.write_text("split: {seed: 3}\n")
    make_workspace(root, data, params=other)
    assert load_params(workspace / "params.yaml").split.seed == 3


def test_classes_of_a_folder_are_held_out_only_where_someone_asks(root, tmp_path):
    (root / "params.yaml").write_text("split: {seed: 1, unknown_classes: 4}\n")
    (root / "data" / "a").mkdir(parents=True)
    held_out = {
        name: load_params(make_workspace(root, data, params, name) / "params.yaml").split.unknown_classes
        for name, data, params in (
            ("others", folder(tmp_path), None),
            ("asked", tmp_path / "my images", root / "params.yaml"),
            ("own", root / "data", None),
        )
    }
    assert held_out == {"others": 0, "asked": 4, "own": 4}


def test_a_workspace_has_every_key_because_dvc_knows_no_defaults(root, tmp_path):
    written = yaml.safe_load((make_workspace(root, folder(tmp_path)) / "params.yaml").read_text())
    assert set(written) == set(Params.model_fields)
    assert written["classify"]["trunk"] == Params().classify.trunk


def test_single_keys_change_what_is_there_or_what_is_named(root, tmp_path):
    data = folder(tmp_path)
    workspace = make_workspace(root, data, changes=["siamese.epochs=5", "siamese.trunk=vgg19"])
    first = load_params(workspace / "params.yaml")
    assert (first.siamese.epochs, first.siamese.trunk) == (5, "vgg19")
    make_workspace(root, data, changes=["siamese.epochs=6"])
    second = load_params(workspace / "params.yaml")
    assert (second.siamese.epochs, second.siamese.trunk) == (6, "vgg19")
    for change, said in (("siamese.epoch=6", "siamese.epoch: unknown key"), ("siamese.epochs", "not KEY=VALUE"),
                         ("siamese.epochs=few", "siamese.epochs")):  # fmt: skip
        with pytest.raises(ParamsError, match=said):
            make_workspace(root, data, changes=[change])
    assert load_params(workspace / "params.yaml") == second


def test_a_study_brings_its_pipeline_and_params(root, tmp_path):
    study = root / "studies" / "paper"
    study.mkdir(parents=True)
    (study / "dvc.yaml").write_text("stages: {a: {cmd: 'true'}}\n")
    (study / "params.yaml").write_text("split: {seed: 9}\n")
    workspace = make_workspace(root, folder(tmp_path), study="paper")
    assert workspace.name == "paper-my images"
    assert (workspace / "dvc.yaml").read_text() == (study / "dvc.yaml").read_text()
    assert load_params(workspace / "params.yaml").split.seed == 9
    with pytest.raises(ParamsError, match="known here: paper"):
        make_workspace(root, tmp_path / "my images", study="papr")


@pytest.mark.parametrize(("study", "needed"), [(None, True), ("leak_gap", True), ("search", True), ("lu_grid", False)])
def test_a_pipeline_needs_data_unless_it_brings_its_own(study, needed):
    assert needs_data(REPOSITORY, study) == needed


def test_nobody_knows_what_an_unknown_study_needs():
    with pytest.raises(ParamsError, match=r"^studies/lu_gird: no such study; known here: .*lu_grid"):
        needs_data(REPOSITORY, "lu_gird")


def test_a_workspace_without_data_bears_its_studys_name_and_links_none(root):
    study = root / "studies" / "digits"
    study.mkdir(parents=True)
    (study / "dvc.yaml").write_text("stages: {a: {cmd: 'true', deps: []}}\n")
    (study / "params.yaml").write_text("split: {seed: 9, unknown_classes: 4}\n")
    workspace = make_workspace(root, None, study="digits")
    assert workspace == root / "workspaces" / "digits"
    assert not os.path.lexists(workspace / "data")
    assert load_params(workspace / "params.yaml") == load_params(study / "params.yaml")
    assert (workspace / "workspace.yaml").read_text() == "root: ../..\n"


def test_two_folders_of_one_name_do_not_share_a_workspace(root, tmp_path):
    make_workspace(root, folder(tmp_path, "x/images"))
    with pytest.raises(DataError, match="NAME="):
        make_workspace(root, folder(tmp_path, "y/images"))
    assert make_workspace(root, tmp_path / "y/images", name="second").name == "second"


def test_a_missing_folder_and_a_missing_params_file_get_one_line(root, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        make_workspace(root, tmp_path / "nowhere")
    with pytest.raises(ParamsError, match="no such file"):
        make_workspace(root, folder(tmp_path), params=tmp_path / "no.yaml")


def test_stage_times_are_read_from_the_reports(tmp_path):
    for stage in ("split", "train_siamese/l1"):
        (tmp_path / "reports" / stage).mkdir(parents=True)
        (tmp_path / "reports" / stage / "timing.json").write_text(json.dumps({"wall_s": 2, "peak_memory_mib": 3}))
    assert sorted(stage_times(tmp_path)) == [("split", 2.0, 3.0), ("train_siamese/l1", 2.0, 3.0)]


@pytest.fixture
def with_dvc(root):
    """A root whose sample is one small file."""
    run_dvc(["init", "-q", "--no-scm"], root).check_returncode()
    (root / "workspace.yaml").write_text("root: .\n")
    (root / "pipelines").mkdir()
    script = "from pathlib import Path\nPath('data/a').mkdir(parents=True)\nPath('data/a/1.txt').write_text('sample')\n"
    (root / "pipelines/sample_data.py").write_text(script)
    return root


def record(root, text):
    """Put ``data/`` under DVC."""
    (root / "data/a").mkdir(parents=True)
    (root / "data/a/1.txt").write_text(text)
    run_dvc(["add", "-q", "data"], root).check_returncode()


def warnings_of(caplog):
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_data_that_is_there_is_taken_as_it_is(with_dvc, caplog):
    record(with_dvc, "mine")
    provide_data(with_dvc)
    assert (with_dvc / "data/a/1.txt").read_text() == "mine"
    assert warnings_of(caplog) == []


def test_data_that_dvc_does_not_record_is_one_warning_and_stays(with_dvc, caplog):
    record(with_dvc, "mine")
    (with_dvc / "data/a/1.txt").write_text("changed")
    provide_data(with_dvc)
    assert (with_dvc / "data/a/1.txt").read_text() == "changed"
    assert warnings_of(caplog) == ["data/ differs from what data.dvc records; dvc repro will record it anew"]


@pytest.mark.parametrize(("text", "warned"), [("mine", False), ("changed", True)])
def test_an_empty_cache_hides_neither_equal_nor_changed_data(with_dvc, caplog, text, warned):
    record(with_dvc, "mine")
    shutil.rmtree(with_dvc / ".dvc/cache")
    (with_dvc / "data/a/1.txt").write_text(text)
    provide_data(with_dvc)
    assert bool(warnings_of(caplog)) is warned


def test_without_data_the_remote_comes_first(with_dvc, tmp_path, caplog):
    record(with_dvc, "of the remote")
    run_dvc(["remote", "add", "-d", "folder", str(tmp_path / "remote")], with_dvc).check_returncode()
    run_dvc(["push", "-q"], with_dvc).check_returncode()
    for folder_ in ("data", ".dvc/cache"):
        shutil.rmtree(with_dvc / folder_)
    provide_data(with_dvc)
    assert (with_dvc / "data/a/1.txt").read_text() == "of the remote"
    assert warnings_of(caplog) == []


def test_a_remote_that_lacks_the_data_leaves_the_sample_and_says_so(with_dvc, tmp_path, caplog):
    record(with_dvc, "lost")
    run_dvc(["remote", "add", "-d", "folder", str(tmp_path / "remote")], with_dvc).check_returncode()
    for folder_ in ("data", ".dvc/cache"):
        shutil.rmtree(with_dvc / folder_)
    provide_data(with_dvc)
    assert (with_dvc / "data/a/1.txt").read_text() == "sample"
    assert len(warnings_of(caplog)) == 2


def test_without_data_and_remote_the_sample_is_made(with_dvc, caplog):
    provide_data(with_dvc)
    assert (with_dvc / "data/a/1.txt").read_text() == "sample"
    assert warnings_of(caplog) == []


@pytest.fixture
def reading(with_dvc):
    """A root whose pipeline reads ``data``."""
    (with_dvc / "dvc.yaml").write_text("vars: [workspace.yaml]\nstages: {split: {cmd: 'true', deps: [data]}}\n")
    return with_dvc


def test_the_root_is_the_workspace_of_its_own_data(reading):
    assert choose_workspace(reading) == reading
    assert (reading / "data/a/1.txt").exists()
    assert not (reading / "workspaces").exists()


def test_a_folder_or_a_study_has_a_workspace_of_its_own(reading, tmp_path):
    assert choose_workspace(reading, folder(tmp_path)) == reading / "workspaces" / "my images"
    assert not (reading / "data").exists()
    (reading / "studies/one").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(reading / name, reading / "studies/one" / name)
    workspace = choose_workspace(reading, study="one")
    assert workspace == reading / "workspaces" / "one-data"
    assert (workspace / "data").resolve() == reading / "data"


@pytest.mark.parametrize("asked", [{"params": Path("my.yaml")}, {"name": "second"}, {"changes": ["split.seed=2"]}])
def test_what_only_a_workspace_can_take_is_refused_for_the_root(asked, reading):
    with pytest.raises(ParamsError, match="PARAMS, NAME and SET are for a workspace; name DATA or STUDY"):
        choose_workspace(reading, **asked)
    assert not (reading / "data").exists()


def test_bad_params_are_told_before_the_sample_is_made(reading):
    (reading / "params.yaml").write_text("split: {sede: 1}\n")
    with pytest.raises(ParamsError, match="sede"):
        choose_workspace(reading)
    assert not (reading / "data").exists()


def test_a_sample_that_cannot_be_made_ends_the_program_with_its_own_status(with_dvc):
    (with_dvc / "pipelines/sample_data.py").write_text("raise SystemExit(2)")
    with pytest.raises(SystemExit) as info:
        provide_data(with_dvc)
    assert info.value.code == 2


def test_the_newest_report_is_the_one_written_last(tmp_path):
    assert newest_report(tmp_path) is None
    for age, stage in enumerate(("leak_gap", "evaluate", "retrain/blocks")):
        report = tmp_path / "reports" / stage / "report.html"
        report.parent.mkdir(parents=True)
        report.write_text("")
        os.utime(report, (1000 - age, 1000 - age))
    assert newest_report(tmp_path) == tmp_path / "reports" / "leak_gap" / "report.html"
