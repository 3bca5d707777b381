"""From a folder of class folders to a split manifest: one call."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.data.duplicates import find_duplicates
from twinfolio.data.groups import groups_from_file, groups_from_pattern
from twinfolio.data.images import ImageFacts, probe_all
from twinfolio.data.manifest import COLUMNS, SPLITS, UNKNOWN, image_ids
from twinfolio.data.sources.folder import list_images
from twinfolio.data.splitting import Fractions, Protocol, split_manifest
from twinfolio.data.unknown import choose_unknown, copies_of_known
from twinfolio.errors import DataError

logger = logging.getLogger(__name__)

LeftOut = list[tuple[str, str]]


@dataclass(frozen=True)
class SplitData:
    """A split data set and how it came about."""

    manifest: pd.DataFrame
    """Columns of ``manifest.COLUMNS``, sorted by ``image_id``."""
    left_out: pd.DataFrame
    """``path``, ``reason`` of the images that are not in the manifest."""
    duplicates: pd.DataFrame
    """See ``duplicates.Duplicates.table``."""
    classes: pd.DataFrame
    """See ``class_table``."""
    counts: dict[str, int]
    """See ``count``."""


def build_manifest(
    root: Path,
    *,
    protocol: Protocol = "blocks",
    fractions: Fractions = (0.70, 0.15, 0.15),
    seed: int = 0,
    unknown_classes: int | Sequence[str] = 0,
    group_pattern: str | None = None,
    groups_file: Path | None = None,
    near_duplicate_bits: int = 4,
    workers: int | None = None,
) -> SplitData:
    """Read a folder of class folders and split it. Same files and arguments, same result.

    Args:
        root: The folder.
        protocol: See ``splitting.split_manifest``.
        fractions: See ``splitting.split_manifest``.
        seed: See ``splitting.split_manifest``; also draws the unknown classes.
        unknown_classes: See ``unknown.choose_unknown``. All other classes are described and split as if these were not
            in the folder, and an image of these that shows the picture of another class is left out.
        group_pattern: See ``groups.groups_from_pattern``.
        groups_file: See ``groups.groups_from_file``. With neither, every image is a group of its own.
        near_duplicate_bits: See ``duplicates.find_duplicates``.
        workers: Processes that read the images; None: one a core.

    Raises:
        DataError: No images, fewer than two classes, more than half of the images left out, unusable groups or unknown
            classes.
    """
    facts, left_out, others = read_folder(root, workers)
    frame = _name(list(facts), group_pattern, groups_file, left_out)
    unknown = choose_unknown(frame, unknown_classes, seed)
    known, duplicates = _describe(frame, facts, near_duplicate_bits)
    parts = []
    if unknown:
        held_out, copies = _hold_out(frame, duplicates, unknown)
        left_out = sorted([*left_out, *copies])
        parts = [_describe(held_out, facts, near_duplicate_bits)[0].assign(split=UNKNOWN, within_group=0)]
        # anew, because two known images may be linked through an unknown one alone
        known, _ = _describe(frame[~frame["label"].isin(unknown)], facts, near_duplicate_bits)
    parts.append(split_manifest(known, protocol=protocol, fractions=fractions, seed=seed))
    manifest = pd.concat(parts).sort_values("image_id", kind="stable", ignore_index=True).loc[:, list(COLUMNS)]
    classes = class_table(manifest)
    counts = count(manifest, classes, duplicates) | {"left_out": len(left_out), "other_files": others}
    _log(classes, counts)
    return SplitData(manifest, pd.DataFrame(left_out, columns=["path", "reason"]), duplicates, classes, counts)


def read_folder(root: Path, workers: int | None = None) -> tuple[dict[str, ImageFacts], LeftOut, int]:
    """Probe every image of a folder of class folders.

    Returns:
        Relative path -> facts, sorted; (path, reason) of what was left out, sorted; number of other files.

    Raises:
        DataError: No images, fewer than two classes, or more than half of the images left out.
    """
    listing = list_images(root)
    results = probe_all([root / path for path in listing.paths], workers)
    read = list(zip(listing.paths, results, strict=True))
    facts = {path: result for path, result in read if isinstance(result, ImageFacts)}
    left_out = sorted([*listing.left_out, *((path, reason) for path, reason in read if isinstance(reason, str))])
    _check_enough(root, list(facts), left_out)
    return facts, left_out, listing.others


def class_table(manifest: pd.DataFrame) -> pd.DataFrame:
    """A row a class: images and groups, in all and by split, and images lent to validation.

    ``groups_val`` does not count the training groups that lend; all groups of an unknown class are unknown.
    """
    own = manifest[manifest["within_group"] == 0]
    table = pd.DataFrame({"images": manifest.groupby("label").size()})
    for split in (*SPLITS, UNKNOWN):
        table[split] = manifest[manifest["split"] == split].groupby("label").size()
    table["groups"] = manifest.groupby("label")["group"].nunique()
    for split in SPLITS:
        table[f"groups_{split}"] = own[own["split"] == split].groupby("label")["group"].nunique()
    table["within_group"] = manifest.groupby("label")["within_group"].sum()
    return table.fillna(0).astype(np.int64).sort_index().reset_index()


def count(manifest: pd.DataFrame, classes: pd.DataFrame, duplicates: pd.DataFrame) -> dict[str, int]:
    """Count images by split, classes by what they have, groups, clusters and duplicates."""
    members = manifest.groupby("cluster").size()
    crossing = [a.split("/")[0] != b.split("/")[0] for a, b in zip(duplicates["a"], duplicates["b"], strict=True)]
    return {
        "images": len(manifest),
        **{split: int(classes[split].sum()) for split in (*SPLITS, UNKNOWN)},
        "within_group": int(classes["within_group"].sum()),
        "classes": len(classes),
        "classes_unknown": int((classes[UNKNOWN] > 0).sum()),
        "classes_with_test": int((classes["test"] > 0).sum()),
        "classes_with_val": int((classes["val"] > 0).sum()),
        "classes_lending_val": int((classes["within_group"] > 0).sum()),
        "classes_of_one_image": int((classes["images"] == 1).sum()),
        "groups": int(manifest["group"].nunique()),
        "duplicate_clusters": int((members > 1).sum()),
        "images_in_clusters": int(members[members > 1].sum()),
        "groups_joined_by_duplicates": int((manifest.groupby("cluster")["group"].nunique() > 1).sum()),
        "pairs_under_two_labels": sum(crossing),
    }


def _check_enough(root: Path, paths: Sequence[str], left_out: LeftOut) -> None:
    """Stop where there is nothing to learn from, or where something is wrong with most of the files."""
    total = len(paths) + len(left_out)
    if total == 0:
        raise DataError(f"{root}: no images", "put one folder of images a class into it")
    if 2 * len(left_out) > total:
        (reason, times), *_ = Counter(reason for _, reason in left_out).most_common()
        example = next(path for path, why in left_out if why == reason)
        raise DataError(
            f"{root}: {len(left_out)} of {total} images cannot be used, {times} of them: {reason} ({example})",
            "mend or remove these files",
        )
    classes = sorted({path.split("/", 1)[0] for path in paths})
    if len(classes) < 2:
        raise DataError(f"{root}: only one class has readable images, {classes[0]}", "add a folder for another class")


def _name(paths: Sequence[str], pattern: str | None, file: Path | None, left_out: LeftOut) -> pd.DataFrame:
    """Columns image_id, path, label, group, sorted by image_id."""
    ids = image_ids(paths)
    groups = ids
    if file is not None:
        groups = groups_from_file(paths, file, allowed=[path for path, _ in left_out])
    elif pattern is not None:
        groups = groups_from_pattern(paths, ids, pattern)
    labels = [path.split("/", 1)[0] for path in paths]
    frame = pd.DataFrame({"image_id": ids, "path": paths, "label": labels, "group": groups}, dtype="str")
    return frame.sort_values("image_id", kind="stable", ignore_index=True)


def _describe(frame: pd.DataFrame, facts: Mapping[str, ImageFacts], bits: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add sizes, hashes and duplicate clusters; also the table of duplicates."""
    known = [facts[path] for path in frame["path"]]
    ids = list(frame["image_id"])
    found = find_duplicates(ids, list(frame["label"]), known, bits)
    described = frame.assign(
        width=[fact.width for fact in known],
        height=[fact.height for fact in known],
        sha256=[fact.sha256 for fact in known],
        cluster=[ids[index] for index in found.cluster],
    )
    return described, found.table


def _hold_out(frame: pd.DataFrame, duplicates: pd.DataFrame, unknown: Sequence[str]) -> tuple[pd.DataFrame, LeftOut]:
    """The images of unknown classes that are no copies of known ones, and the copies with the reason."""
    copies = copies_of_known(frame, duplicates, unknown)
    held_out = frame[frame["label"].isin(unknown) & ~frame["image_id"].isin(copies)]
    for label in unknown:
        if label not in set(held_out["label"]):
            raise DataError(
                f"split.unknown_classes: every image of {label} also lies in the folder of a known class",
                "hold out both or neither",
            )
    paths = dict(zip(frame["image_id"], frame["path"], strict=True))
    return held_out, [(paths[copy], f"shows the same as {paths[of]} of a known class") for copy, of in copies.items()]


def _log(classes: pd.DataFrame, counts: Mapping[str, int]) -> None:
    """What a person wants to know, a line each."""
    logger.info(
        "%(images)d images of %(classes)d classes in %(groups)d groups: %(train)d train, %(val)d val, %(test)d test; "
        "%(left_out)d left out, %(other_files)d other files",
        counts,
    )
    if counts["classes_unknown"]:
        names = ", ".join(classes["label"][classes[UNKNOWN] > 0])
        logger.info("%d images are held out of training, with their classes: %s", counts[UNKNOWN], names)
    logger.info(
        "%(classes_with_test)d of %(classes_known)d classes have test images, %(classes_with_val)d validation images "
        "(%(classes_lending_val)d lend them from train: %(within_group)d images)",
        {**counts, "classes_known": counts["classes"] - counts["classes_unknown"]},
    )
    logger.info(
        "%(duplicate_clusters)d clusters of duplicates (%(images_in_clusters)d images), "
        "%(pairs_under_two_labels)d pairs under two labels",
        counts,
    )
    single = list(classes["label"][(classes["images"] == 1) & (classes[UNKNOWN] == 0)])
    if single:
        logger.warning("%d classes have one image, which goes to train: %s", len(single), ", ".join(single[:10]))
