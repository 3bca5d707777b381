"""``twinfolio search``: the stage ``search`` from the shell, in the workspace where one stands."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twinfolio.errors import DataError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(commands: Commands) -> None:
    """Add the command to ``twinfolio``."""
    text = (
        "Search params as params.yaml's section search declares it, in the workspace of the current folder. Start it "
        "on several machines that share search.storage: they share the study."
    )
    parser = commands.add_parser("search", help="search params, alone or with other machines", description=text)
    parser.add_argument(
        "--verdict",
        action="store_true",
        help="open test: train by the best params and by the workspace's own, and compare them image by image",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the stage's script.

    Raises:
        DataError: The current folder is no workspace.
    """
    script = _root(Path.cwd()) / "pipelines" / ("search_verdict.py" if options.verdict else "search.py")
    os.execv(sys.executable, [sys.executable, str(script)])  # in its place: signals reach the stage, and its status us


def _root(here: Path) -> Path:
    """The repository of a workspace: the folder itself, or what its ``workspace.yaml`` names."""
    import yaml

    if (here / "params.yaml").is_file():
        named = here / "workspace.yaml"
        said = yaml.safe_load(named.read_text(encoding="utf-8")) if named.is_file() else None
        root = (here / said["root"] if isinstance(said, dict) and "root" in said else here).resolve()
        if (root / "pipelines" / "search.py").is_file():
            return root
    raise DataError(f"{here.name}: no workspace here", "go to the repository or to one of its workspaces/")
