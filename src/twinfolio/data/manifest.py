"""The manifest, a row an image: the only place that knows its columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from twinfolio.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "image_id", "path", "label", "split", "group", "width", "height", "sha256", "cluster", "within_group",
)  # fmt: skip
"""In the order of the file."""
SPLITS = ("train", "val", "test")
"""Names of the splits of the known classes."""
UNKNOWN = "unknown"
"""The split of all images of the classes that are held out of training altogether."""
INTEGERS = ("width", "height", "within_group")
"""The columns that are not text."""


def image_ids(paths: Sequence[str]) -> list[str]:
    """Name images by their paths without the ending; those that would collide keep it.

    Args:
        paths: Relative paths with ``/``.

    Returns:
        One id a path, all different.
    """
    stems = [str(PurePosixPath(path).with_suffix("")) for path in paths]
    # "a" from "a.jpg" also collides with a file whose whole name is "a"
    counts: dict[str, int] = {}
    for name in [*stems, *set(paths)]:
        counts[name] = counts.get(name, 0) + 1
    return [path if counts[stem] > 1 else stem for path, stem in zip(paths, stems, strict=True)]


def write_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Check and write a manifest, sorted by ``image_id``: the same rows give the same bytes.

    Raises:
        DataError: See ``validate``.
    """
    ordered = manifest.loc[:, list(COLUMNS)].sort_values("image_id", kind="stable", ignore_index=True)
    validate(ordered, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    ordered.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n")
    os.replace(temporary, path)  # noqa: PTH105 - Path.replace is the same call


def read_manifest(path: Path) -> pd.DataFrame:
    """Read and check a manifest. Text stays text: a class may be called ``001`` or ``NA``.

    Raises:
        DataError: The file is missing or not a valid manifest.
    """
    import pandas as pd

    try:
        manifest = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", "run the split stage first") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV file ({error})", "run the split stage again") from None
    _check_columns(manifest, str(path))
    try:
        manifest = manifest.astype(dict.fromkeys(INTEGERS, "int64"))
    except ValueError as error:
        raise DataError(f"{path}: {error}", f"{', '.join(INTEGERS)} are whole numbers") from None
    validate(manifest, str(path))
    return manifest


def validate(manifest: pd.DataFrame, source: str = "manifest") -> None:
    """Check columns, ids, labels, splits, and that no duplicate cluster crosses splits and no unknown class is known.

    Args:
        manifest: The frame.
        source: Named in errors.

    Raises:
        DataError: One line for the first thing that is wrong.
    """
    _check_columns(manifest, source)
    for problem, rows in _problems(manifest).items():
        if rows.any():
            raise DataError(f"{source}: {manifest['image_id'][rows].iloc[0]}: {problem}", "run the split stage again")


def _check_columns(manifest: pd.DataFrame, source: str) -> None:
    if tuple(manifest.columns) != COLUMNS:
        raise DataError(f"{source}: columns are {', '.join(manifest.columns)}", f"they must be {', '.join(COLUMNS)}")


def _problems(manifest: pd.DataFrame) -> dict[str, pd.Series[bool]]:
    """What may be wrong -> the rows where it is."""
    lent = manifest["within_group"] != 0
    splits = manifest.groupby("cluster")["split"].transform("nunique")
    unknown = manifest["split"] == UNKNOWN
    texts = manifest[["image_id", "label", "group", "cluster", "sha256"]]
    return {
        "a field is empty": (texts == "").any(axis=1) | texts.isna().any(axis=1),
        "image_id occurs twice": manifest["image_id"].duplicated(),
        f"split is not one of {', '.join(SPLITS)}, {UNKNOWN}": ~manifest["split"].isin((*SPLITS, UNKNOWN)),
        "label is not the first folder of path": manifest["path"].str.split("/").str[0] != manifest["label"],
        "within_group is not 0 or 1": ~manifest["within_group"].isin((0, 1)),
        "within_group is set outside val": lent & (manifest["split"] != "val"),
        "its duplicate cluster crosses splits": splits > 1,
        "its class is both known and unknown": unknown.groupby(manifest["label"]).transform("nunique") > 1,
    }
