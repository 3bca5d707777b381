"""What several commands ask for alike."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from twinfolio.errors import DataError

if TYPE_CHECKING:
    from twinfolio.data.store_plan import Rendering
    from twinfolio.retrieval.embed import Forward
    from twinfolio.serving.reading import Embedding

MODEL, CACHE = Path("outputs/evaluate/model"), Path(".twinfolio/embeddings.sqlite")
_EPILOG = "Images that cannot be read are listed on standard error; the exit status is 2 where none could be read."


def add_images(parser: argparse.ArgumentParser) -> None:
    """The images a command is about."""
    parser.add_argument("image", nargs="+", help="image file, folder of images, or - for paths on standard input")
    parser.epilog = _EPILOG


def add_model(parser: argparse.ArgumentParser) -> None:
    """The model folder."""
    parser.add_argument("--model", type=Path, default=MODEL, help=f"model folder (default {MODEL})")


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Where embeddings are kept."""
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"known embeddings (default {CACHE})")


def add_format(parser: argparse.ArgumentParser, json: str = "JSON, a line an image") -> None:
    """Output for programs; ``json`` says what JSON holds."""
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help=json)
    formats.add_argument("--csv", action="store_true", help="CSV")


def at_least_one(name: str, value: int) -> int:
    """A count that must be one or more.

    Raises:
        DataError: It is below.
    """
    if value < 1:
        raise DataError(f"{name} {value}: must be at least 1", "ask for one or more")
    return value


def between(name: str, value: float, low: float, high: float) -> None:
    """A number that must lie between two others, or be one of them.

    Raises:
        DataError: It does not.
    """
    if not low <= value <= high:
        raise DataError(f"{name} {value:g}: must be {low:g} to {high:g}", "choose a number in between")


def embedded(names: list[str], rendering: Rendering, embed: Forward) -> Iterator[Embedding]:
    """The images that can be read, embedded a few at a time; the others go to standard error.

    Raises:
        DataError: None can be read, or there is none.
    """
    from twinfolio.serving.reading import embed_all, find_images

    paths, left_out = find_images(names, sys.stdin)
    served, failed = 0, [f"{path}: {reason}" for path, reason in left_out]
    for line in failed:
        complain(line)
    for one in embed_all(paths, rendering, embed):
        if one.reason is None:
            served += 1
            yield one
        else:
            failed.append(f"{one.path}: {one.reason}")
            complain(failed[-1])
    if not served:
        raise nothing_read(len(failed), names)


def nothing_read(failed: int, names: list[str]) -> DataError:
    """The error where no image could be read: ``failed`` of them, or there is none."""
    fact = f"none of {failed} images could be read" if failed else f"no image in {', '.join(names)}"
    return DataError(fact, "name image files, or a folder that holds some")


def with_bar(positions: Iterable[int], total: int) -> Iterable[int]:
    """The images to embed, with a progress bar where a person watches."""
    from tqdm import tqdm

    return tqdm(positions, total=total, desc="embedding", unit="image", disable=not total or not sys.stderr.isatty())


def complain(line: str) -> None:
    """One line on standard error."""
    print(f"twinfolio: {line}", file=sys.stderr)
