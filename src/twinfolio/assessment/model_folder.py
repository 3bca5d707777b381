"""The model folder: everything later tools need to query, in one place and without a pickle.

Layout::

    model.safetensors   trunk, projection, head and class layer
    embedder.onnx       trunk, pooling and projection as a program that needs no torch
    rendering.json      how an image becomes rows: size, fit, channels, tiles
    model.json          what they are: trunk, pooling, embedding width, head, distance, sizes, pretrained
    classes.json        class names; labels are positions in this list
    threshold.json      score from which two images count as one manuscript, and where it was chosen
    neighbours.json     how neighbours are made better (neighbours.npz: the arrays of a whitening)
    calibration.json    from score to probability, the score of an unknown manuscript, the cut of the class sets
    embeddings.npy      float32 (R, D), a row for each line of gallery.csv, under the views of neighbours.json
    gallery.csv         image_id, tile, split, label, group, cluster, path, content (SHA-256 of the file); the scores of
                        an image are the mean over its tiles
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from twinfolio.assessment.gallery import GALLERY_COLUMNS, rendering_facts
from twinfolio.errors import ModelError

if TYPE_CHECKING:
    from twinfolio.assessment.searched import SearchSetting
    from twinfolio.data.store import StoreInfo
    from twinfolio.models.bundle import Model

BUNDLE_FILES = ("model.safetensors", "model.json")


@dataclass(frozen=True)
class ModelFolder:
    """A loaded model folder.

    Attributes:
        model: Embeds images and scores embeddings.
        classes: Class names.
        threshold: Score from which a pair counts as the same class.
        embeddings: float32 (R, D) of the gallery.
        gallery: R rows, ``GALLERY_COLUMNS``; ``label`` is a class name.
    """

    model: Model
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
) -> None:
    """Write the folder under a temporary name, then rename it; the ONNX program is checked against torch.

    Args:
        folder: Where; what is there is replaced.
        bundle: The champion's model folder as training wrote it.
        info: The store it was made from.
        setting: How the champion is searched.
        embeddings: float32 (R, D), under the recipe's views.
        gallery: R rows, see ``gallery_table``.
    """
    from twinfolio.models.bundle import load_model
    from twinfolio.models.onnx_export import export_embedder

    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in BUNDLE_FILES:
        shutil.copyfile(bundle / name, part / name)
    facts = {
        "classes": info.classes,
        "threshold": {"threshold": setting.threshold, "recipe": setting.recipe.name, "split": "val"},
        "calibration": setting.calibration.to_json(),
        "rendering": rendering_facts(info),
    }
    for name, value in facts.items():
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (part / f"{name}.json").write_text(text, encoding="utf-8")
    setting.recipe.save(part)
    np.save(part / "embeddings.npy", np.ascontiguousarray(embeddings, np.float32), allow_pickle=False)
    gallery.to_csv(part / "gallery.csv", index=False, lineterminator="\n", encoding="utf-8")
    export_embedder(load_model(part), part, (info.size, info.size))
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def load_model_folder(folder: Path) -> ModelFolder:
    """Read a model folder; nothing outside it is needed.

    Args:
        folder: Written by ``write_model_folder``.

    Raises:
        ModelError: A file is missing, or the gallery's rows and embeddings differ in number.
    """
    from twinfolio.models.bundle import load_model

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
    return ModelFolder(load_model(folder), classes, float(threshold), embeddings, gallery)
