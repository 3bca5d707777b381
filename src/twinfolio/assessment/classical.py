"""The classical systems: fitted encoders in folders of their own, and systems like any other.

A folder of one::

    encoder.json     descriptor, encoding, words, distance
    encoder.npz      words and their weights, where there are any
    neighbours.json  a whitening and a re-ranking by matched key points (neighbours.npz: the whitening's arrays)
    rendering.json   how an image becomes rows
    classes.json     class names
    embeddings.npy   float32 (R, D), a row for each line of gallery.csv
    gallery.csv      as in a model folder
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from twinfolio.assessment.gallery import rendering_facts
from twinfolio.assessment.systems import System
from twinfolio.data.store import StoreInfo
from twinfolio.descriptors.encoder import Encoder
from twinfolio.retrieval.recipe import Recipe, load_recipe
from twinfolio.retrieval.scorers import distance_scorer


def classical_system(encoder: Encoder, recipe: Recipe | None = None) -> System:
    """An encoder as a system.

    Args:
        encoder: A fitted one.
        recipe: What is done to its vectors, and to the first candidates; None: nothing.
    """
    build = distance_scorer(encoder.spec.distance)

    def save(target: Path) -> None:
        encoder.save(target)
        (recipe or Recipe()).save(target)

    return System(
        name=encoder.spec.name,
        embed=encoder,
        scores=lambda queries, gallery: build(gallery).pairwise(queries),
        search=None if recipe in (None, Recipe()) else (recipe, build),
        save=save,
    )


def save_classical(
    folder: Path,
    encoder: Encoder,
    recipe: Recipe,
    info: StoreInfo,
    vectors: Sequence[np.ndarray],
    gallery: pd.DataFrame,
) -> None:
    """Write a folder that ``twinfolio index`` and ``twinfolio query`` take as they take a model's.

    Args:
        folder: Where.
        encoder: A fitted one.
        recipe: What is done to its vectors.
        info: The store it was fitted on.
        vectors: float32 (R, D) of train and of validation.
        gallery: R rows, see ``gallery.gallery_table``.
    """
    encoder.save(folder)
    recipe.save(folder)
    for name, value in (("rendering", rendering_facts(info)), ("classes", info.classes)):
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    np.save(folder / "embeddings.npy", np.concatenate(vectors).astype(np.float32), allow_pickle=False)
    gallery.to_csv(folder / "gallery.csv", index=False, lineterminator="\n", encoding="utf-8")


def load_classical(folder: Path, *, workers: int = 1, cache: Path | None = None) -> System:
    """Read what ``save_classical`` wrote.

    Args:
        folder: The folder.
        workers: Threads that look for key points.
        cache: SQLite file of key points by content; None keeps none.

    Raises:
        ModelError: It holds no encoder, or its recipe is damaged.
    """
    return classical_system(Encoder.load(folder, workers=workers, cache=cache), load_recipe(folder))
