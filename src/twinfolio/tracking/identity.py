"""What names a run: hashes of params, inputs, data and source, and the commit they were found at."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "timm", "pytorch-lightning", "numpy", "mlflow", "dvc")
_BLOCK = 1 << 20


def source_hash(root: Path) -> str:
    """Hash every Python file of the package and of the stage scripts.

    Args:
        root: The folder that holds ``src/`` and ``pipelines/``.

    Returns:
        64 hexadecimal digits, the same for the same files wherever ``root`` lies.
    """
    files = [*(root / "src" / "twinfolio").rglob("*.py"), *(root / "pipelines").glob("*.py")]
    return _hash_parts((path.relative_to(root).as_posix(), _hash_file(path)) for path in sorted(files))


def content_hash(paths: Iterable[Path]) -> str:
    """Hash names and bytes of files, and of all files below folders.

    ``run.json`` is left out: it names the run that made a folder and differs between two equal results.

    Args:
        paths: Files or folders, relative to the workspace.
    """
    return _hash_parts((path.as_posix(), _hash_file(path)) for root in paths for path in _files_below(root))


def data_fingerprint(data_dir: Path) -> str:
    """Hash the relative path and size of every file of a data folder, without reading them."""
    files = _files_below(data_dir)
    return _hash_parts((path.relative_to(data_dir).as_posix(), str(path.stat().st_size)) for path in files)


def stage_key(sections: dict[str, Any], inputs: str, source: str) -> str:
    """Name a stage run by content: its params sections, the hash of its inputs, the hash of the source."""
    parts = {"params": sections, "inputs": inputs, "source": source}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def pipeline_key(params: bytes, data: str, source: str) -> str:
    """Name a pipeline run by content: the bytes of ``params.yaml``, the data's fingerprint, the source's hash."""
    return hashlib.sha256(b"\0".join([params, data.encode(), source.encode()])).hexdigest()


def git_commit(root: Path) -> str:
    """The commit checked out at ``root``, with ``-dirty`` where a tracked file differs; ``none`` without Git."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return "none"
    return f"{commit}-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else commit


def versions() -> dict[str, str]:
    """Versions of Python and of the packages results depend on; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _git(root: Path, *arguments: str) -> str:
    """What a Git command prints, or nothing where there is no Git or no repository."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _files_below(path: Path) -> Iterator[Path]:
    """The file itself, or all files below a folder in a fixed order, without ``run.json``."""
    if path.is_file():
        yield path
        return
    # as_posix: Path sorts part by part and differently on systems that ignore case
    for child in sorted(path.rglob("*"), key=lambda p: p.as_posix()):
        if child.is_file() and child.name != "run.json":
            yield child


def _hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _hash_parts(parts: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over (name, value) pairs in the order given."""
    digest = hashlib.sha256()
    for name, value in parts:
        digest.update(f"{name}\0{value}\n".encode())
    return digest.hexdigest()
