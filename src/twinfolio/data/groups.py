"""Which page, folio or quire an image belongs to: from its path, or from a table."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinfolio.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def groups_from_pattern(paths: Sequence[str], ids: Sequence[str], pattern: str) -> list[str]:
    """Name groups ``label/key``, with the key found in the path below the class folder.

    Args:
        paths: Relative paths with ``/``, the class first.
        ids: What an image without a match is called: it is a group of its own.
        pattern: Regular expression; its first group, or else the whole match, is the key.

    Raises:
        DataError: The pattern matches no path.
    """
    keys = [_key(re.search(pattern, path.split("/", 1)[1])) for path in paths]
    missed = [path for path, key in zip(paths, keys, strict=True) if not key]
    if len(missed) == len(paths):
        below = paths[0].split("/", 1)[1]
        raise DataError(f"split.group_pattern = {pattern!r} matches no path", f"write one that is found in {below}")
    if missed:
        logger.warning("%d images have no group by %r and stand alone, such as %s", len(missed), pattern, missed[0])
    named = zip(paths, ids, keys, strict=True)
    return [f"{path.split('/', 1)[0]}/{key}" if key else image_id for path, image_id, key in named]


def groups_from_file(paths: Sequence[str], file: Path, allowed: Iterable[str] = ()) -> list[str]:
    """Name groups ``label/key``, with the key from a CSV file of columns ``path,group``.

    Args:
        paths: Relative paths with ``/``, the class first; each needs a row.
        file: The CSV file.
        allowed: Paths that may have a row although they are not among ``paths`` (images left out).

    Raises:
        DataError: The file is missing, not such a table, or a path in it is unknown, missing, twice or without a group.
    """
    table = _read(file)
    for problem, rows in (
        ("has two rows", table["path"].duplicated()),
        ("is not among the images", ~table["path"].isin({*paths, *allowed})),
        ("has an empty group", table["group"] == ""),
    ):
        if rows.any():
            raise DataError(f"{file}: {table['path'][rows].iloc[0]} {problem} ({rows.sum()} such)", "correct the table")
    keys = dict(zip(table["path"], table["group"], strict=True))
    missing = [path for path in paths if path not in keys]
    if missing:
        raise DataError(f"{file}: {missing[0]} has no row ({len(missing)} such)", "give every image a group")
    return [f"{path.split('/', 1)[0]}/{keys[path]}" for path in paths]


def _key(match: re.Match[str] | None) -> str:
    """The first group of a match, or all of it; empty where nothing matched."""
    if match is None:
        return ""
    return (match[1] if match.re.groups else match[0]) or ""


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"split.groups_file: {file}: no such file", "correct the path") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{file}: not a CSV file ({error})", "write columns path,group") from None
    if not {"path", "group"} <= set(table.columns):
        raise DataError(f"{file}: columns are {', '.join(table.columns)}", "it needs path and group")
    return table
