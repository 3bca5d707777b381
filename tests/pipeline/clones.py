"""Clones of this repository with tiny data, and the commands run in them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
ENV = {
    **{key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "TWINFOLIO_", "DVC_"))},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


def run(*command: str, cwd: Path, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a workspace and show what it printed when it fails."""
    done = subprocess.run(command, cwd=cwd, env={**ENV, **env}, check=False, text=True, capture_output=True)
    if check and done.returncode:
        pytest.fail(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done


def write_striped_images(data: Path, classes: int = 5, groups: int = 5, per_group: int = 3) -> None:
    """Classes differ by the angle and width of their stripes, groups by their brightness."""
    y, x = np.mgrid[:56, :64]
    for label in range(classes):
        angle = np.pi * label / classes
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (0.5 + 0.15 * label))
        for group in range(groups):
            for member in range(per_group):
                rng = np.random.default_rng([label, group, member])
                image = 110 + 15 * group + 60 * np.roll(wave, rng.integers(20), axis=1)
                image = image[..., None] + rng.normal(0, 25, (56, 64, 3))
                path = data / f"class {label}" / f"g{group}_t{member}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path, quality=92)


def make_clone(target: Path) -> Path:
    """Copy what Git would clone (and what is new in the working tree) into a repository of its own, with tiny data."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file() and not name.startswith(("reports/", "data.dvc", "dvc.lock")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    shutil.copyfile(ROOT / "tests/pipeline/params.yaml", target / "params.yaml")
    write_striped_images(target / "data")
    run("git", "init", "-q", "-b", "main", cwd=target)
    run("dvc", "add", "-q", "data", cwd=target)
    commit(target, "start")
    return target


def commit(clone: Path, message: str) -> None:
    run("git", "add", "-A", cwd=clone)
    run("git", "commit", "-q", "-m", message, cwd=clone)
