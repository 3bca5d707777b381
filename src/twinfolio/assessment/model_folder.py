"""The model folder: everything later tools need to query, in one place and without a pickle.

Layout::

    model.safetensors   trunk, projection, head and class layer
    model.json          what they are: trunk, pooling, embedding width, head, distance, sizes, pretrained
    embedder.onnx       trunk, pooling and projection as a program that needs no torch
    rendering.json      how an image becomes rows: size, fit, channels, tiles
    classes.json        class names; labels are positions in this list
    threshold.json      score from which two images count as one manuscript, and where it was chosen
    neighbours.json     how neighbours are made better (neighbours.npz: the arrays of a whitening)
    calibration.json    from score to probability, the score of an unknown manuscript, the cut of the class sets
    embeddings.npy      float32 (R, D), a row for each line of gallery.csv, under the views of neighbours.json
    gallery.csv         image_id, tile, split, label, group, cluster, path, content (SHA-256 of the file); the scores of
                        an image are the mean over its tiles
    notes.json          sentences that whoever uses the model should read

A classical champion has ``encoder.json`` and ``encoder.npz`` in place of the first three; joined systems have
``joined.json`` and ``members/<name>/``, each with the files of its kind, ``rendering.json`` and ``classes.json``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from twinfolio.assessment.gallery import GALLERY_COLUMNS, rendering_facts
from twinfolio.assessment.system_folder import load_system
from twinfolio.descriptors import encoder
from twinfolio.errors import ModelError
from twinfolio.retrieval import joined, recipe

if TYPE_CHECKING:
    from twinfolio.assessment.searched import SearchSetting
    from twinfolio.assessment.systems import System
    from twinfolio.data.store import StoreInfo

BUNDLE_FILES = ("model.safetensors", "model.json")


@dataclass(frozen=True)
class ModelFolder:
    """A loaded model folder.

    Attributes:
        system: Embeds images and scores embeddings.
        classes: Class names.
        threshold: Score from which a pair counts as the same class.
        embeddings: float32 (R, D) of the gallery.
        gallery: R rows, ``GALLERY_COLUMNS``; ``label`` is a class name.
    """

    system: System
    classes: list[str]
    threshold: float
    embeddings: np.ndarray
    gallery: pd.DataFrame


def write_model_folder(
    folder: Path,
    *,
    bundle: Path,
    info: StoreInfo,
    setting: SearchSetting,
    embeddings: np.ndarray,
    gallery: pd.DataFrame,
    notes: Sequence[str] = (),
) -> None:
    """Write the folder under a temporary name, then rename it; ONNX programs are checked against torch.

    Args:
        folder: Where; what is there is replaced.
        bundle: The champion's own files, as ``System.save`` wrote them.
        info: The store it was made from.
        setting: How the champion is searched.
        embeddings: float32 (R, D), under the recipe's views.
        gallery: R rows, see ``gallery_table``.
        notes: What whoever uses the model should know, a sentence each.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _write_system(bundle, part, info)
    facts = {
        "threshold": {"threshold": setting.threshold, "recipe": setting.recipe.name, "split": "val"},
        "calibration": setting.calibration.to_json(),
        "notes": list(notes),
    }
    _write_facts(part, facts)
    setting.recipe.save(part)
    np.save(part / "embeddings.npy", np.ascontiguousarray(embeddings, np.float32), allow_pickle=False)
    gallery.to_csv(part / "gallery.csv", index=False, lineterminator="\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def _write_system(source: Path, target: Path, info: StoreInfo) -> None:
    """Copy a system's files; a net also becomes an ONNX program, and each member of a join its own small folder."""
    target.mkdir(parents=True, exist_ok=True)
    if (source / joined.JSON).is_file():
        shutil.copyfile(source / joined.JSON, target / joined.JSON)
        for member in sorted((source / joined.MEMBERS).iterdir()):
            _write_system(member, target / joined.MEMBERS / member.name, info)
    else:
        for name in (*BUNDLE_FILES, encoder.JSON, encoder.ARRAYS, recipe.JSON, recipe.ARRAYS):
            if (source / name).is_file():
                shutil.copyfile(source / name, target / name)
        if not (source / encoder.JSON).is_file():
            _export(target, info)
    _write_facts(target, {"classes": info.classes, "rendering": rendering_facts(info)})


def _export(folder: Path, info: StoreInfo) -> None:
    from twinfolio.models.bundle import load_model
    from twinfolio.models.onnx_export import export_embedder

    export_embedder(load_model(folder), folder, (info.size, info.size))


def _write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def load_model_folder(folder: Path) -> ModelFolder:
    """Read a model folder; nothing outside it is needed.

    Args:
        folder: Written by ``write_model_folder``.

    Raises:
        ModelError: A file is missing, or the gallery's rows and embeddings differ in number.
    """
    try:
        classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
        threshold = json.loads((folder / "threshold.json").read_text(encoding="utf-8"))["threshold"]
        embeddings = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        text = dict.fromkeys(GALLERY_COLUMNS[:1] + GALLERY_COLUMNS[3:], str)
        gallery = pd.read_csv(folder / "gallery.csv", dtype=text, keep_default_na=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: not a whole model folder ({error})", "run the stage evaluate again") from None
    if len(gallery) != len(embeddings):
        raise ModelError(f"{folder}: {len(gallery)} gallery rows, {len(embeddings)} embeddings", "run evaluate again")
    return ModelFolder(load_system(folder, folder.name), classes, float(threshold), embeddings, gallery)
