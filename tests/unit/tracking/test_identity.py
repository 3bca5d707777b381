import shutil
import subprocess

import pytest

from twinfolio.tracking.identity import (
    content_hash,
    data_fingerprint,
    git_commit,
    pipeline_key,
    source_hash,
    stage_key,
    versions,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "store" / "b").mkdir(parents=True)
    (tmp_path / "store" / "b" / "x").write_text("1")
    (tmp_path / "store" / "a").write_text("2")
    return tmp_path / "store"


def test_content_hash_knows_bytes_and_names_but_not_the_run_that_made_them(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    store = folder.relative_to(folder.parent)
    first = content_hash([store])
    (folder / "run.json").write_text("{}")
    assert content_hash([store]) == first
    (folder / "a").write_text("3")
    changed = content_hash([store])
    assert changed != first
    (folder / "a").rename(folder / "c")
    assert content_hash([store]) != changed


def test_content_hash_of_a_file_is_that_of_its_bytes(folder):
    first = content_hash([folder / "a"])
    (folder / "a").write_text("22")
    assert content_hash([folder / "a"]) != first


def test_data_fingerprint_is_the_same_for_a_copy_elsewhere(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert data_fingerprint(folder) == data_fingerprint(tmp_path / "copy")
    (tmp_path / "copy" / "a").write_text("22")
    assert data_fingerprint(folder) != data_fingerprint(tmp_path / "copy")


def test_source_hash_reads_python_files_of_package_and_pipelines_only(tmp_path):
    (tmp_path / "src" / "twinfolio").mkdir(parents=True)
    (tmp_path / "pipelines").mkdir()
    first = source_hash(tmp_path)
    (tmp_path / "src" / "twinfolio" / "notes.md").write_text("x")
    assert source_hash(tmp_path) == first
    (tmp_path / "pipelines" / "split.py").write_text("x")
    assert source_hash(tmp_path) != first


def test_keys_change_with_each_of_their_parts():
    keys = {stage_key({"a": 1}, "i", "s"), stage_key({"a": 2}, "i", "s"), stage_key({"a": 1}, "j", "s")}
    assert len(keys | {stage_key({"a": 1}, "i", "t")}) == 4
    assert stage_key({"a": 1, "b": 2}, "i", "s") == stage_key({"b": 2, "a": 1}, "i", "s")
    assert len({pipeline_key(b"p", "d", "s"), pipeline_key(b"q", "d", "s"), pipeline_key(b"p", "e", "s")}) == 3


def test_git_commit_says_dirty_and_none(tmp_path):
    assert git_commit(tmp_path) == "none"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "f").write_text("1")
    for arguments in (["init", "-q"], ["add", "f"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    clean = git_commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "f").write_text("2")
    assert git_commit(tmp_path) == f"{clean}-dirty"


def test_versions_name_python_and_torch():
    assert {"python", "torch", "mlflow"} <= versions().keys()
