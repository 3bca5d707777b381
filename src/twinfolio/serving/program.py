"""A model folder as a program that starts in half a second: ONNX Runtime and NumPy, no torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.store_plan import Rendering
from twinfolio.errors import ModelError
from twinfolio.retrieval.heads import build_scorer, read_part
from twinfolio.retrieval.places import Split, head_split
from twinfolio.retrieval.recipe import ARRAYS, JSON, Recipe, load_recipe
from twinfolio.retrieval.scorers import Floats, Scorer

CALIBRATION, NOTES = "calibration.json", "notes.json"
FILES = ("model.safetensors", "model.json", "rendering.json", "classes.json", "embedder.onnx")
BATCH = 16


@dataclass(frozen=True)
class Program:
    """A model folder, its parts read when they are first needed.

    Attributes:
        folder: Written by the stage ``evaluate``.
        config: ``model.json``.
        classes: Class names, in the order of the class layer.
        rendering: How an image becomes rows.
    """

    folder: Path
    config: dict[str, Any]
    classes: list[str]
    rendering: Rendering

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over weights, rendering and recipe: whatever makes an index what it is.

        Raises:
            ModelError: See ``recipe``.
        """
        names = [*FILES[:3]]
        if self.recipe != Recipe():  # a plain one makes the same index as a folder without one
            names += [JSON] if self.recipe.whitening is None else [JSON, ARRAYS]
        digest = hashlib.sha256()
        for name in names:
            digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()

    @cached_property
    def recipe(self) -> Recipe:
        """How neighbours are made better; plain where the folder is older than that choice.

        Raises:
            ModelError: ``neighbours.json`` or its arrays are missing or damaged.
        """
        older = not any((self.folder / name).exists() for name in (JSON, CALIBRATION))
        return Recipe() if older else load_recipe(self.folder)

    @property
    def notes(self) -> list[str]:
        """Notes for users of the model, a sentence each; none where the folder is older.

        Raises:
            ModelError: ``notes.json`` is damaged.
        """
        path = self.folder / NOTES
        if not path.is_file():
            return []
        try:
            return [str(note) for note in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError) as error:
            raise ModelError(f"{path}: damaged ({error})", "run the stage evaluate again") from None

    def embed(self, rows: NDArray[np.uint8]) -> Floats:
        """Embeddings (N, D) of rows (N, H, W, C) as ``rendering`` makes them: what the class layer reads."""
        return self._run("embeddings", rows)

    def embed_views(self, rows: NDArray[np.uint8]) -> Floats:
        """Embeddings (N, D) of rows (N, H, W, C) under the recipe's views: what is indexed and what is asked."""
        return self.recipe.embed(self.embed, rows)

    def embed_places(self, rows: NDArray[np.uint8]) -> Floats | None:
        """What each place adds to the embeddings of rows (N, H, W, C): (N, D, h, w), or None.

        The mean over places is the embedding before it is normalised. None where the model is not average-pooled with
        a linear projection, or its folder is older than this output.
        """
        names = [output.name for output in self._session.get_outputs()]
        return self._run("places", rows) if "places" in names else None

    @cached_property
    def split(self) -> Split | None:
        """How the head's score splits into places; None where it does not (see also ``embed_places``)."""
        kind = self.config["head"]
        weight = self._head["weight"] if kind == "weighted" else None
        return head_split(kind, self.config["distance"], normalise=self.config["normalise"], weight=weight)

    def match_maps(self, query: NDArray[np.uint8], gallery: NDArray[np.uint8]) -> tuple[Floats, Floats] | None:
        """Where the score of two rows (H, W, C) comes from: maps (h, w) on the query and on the gallery image.

        ``split.measure`` says what they sum to. None where the model has no exact split.
        """
        places = None if self.split is None else self.embed_places(np.stack([query, gallery]))
        return None if self.split is None or places is None else self.split.maps(*places)

    @property
    def distance(self) -> str:
        """What orders vectors as the recipe compares them: ``l1``, ``l2`` or ``cosine``."""
        return self.recipe.distance(self.config["distance"])

    def scorer(self, gallery: Floats) -> Scorer:
        """The head against a gallery (M, D)."""
        return build_scorer(self.config["head"], self.config["distance"], self._head, gallery)

    def pairwise(self, queries: Floats, gallery: Floats) -> Floats:
        """Scores (Q, M) of embeddings (Q, D) with others (M, D), by the head alone."""
        return self.scorer(gallery).pairwise(queries)

    def probabilities(self, embeddings: Floats) -> Floats:
        """Class probabilities (N, classes) of embeddings (N, D), as training left them.

        Raises:
            ModelError: The model was trained without a class layer.
        """
        if self.config["class_layer"] is None:
            raise ModelError(f"{self.folder}: this model has no class layer", "train with siamese.class_weight above 0")
        layer, gain = read_part(self.folder, "class_layer"), self.config["class_layer"][1]
        logits = (embeddings * np.float32(gain)) @ layer["weight"].T + layer["bias"]
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(1, keepdims=True))

    @cached_property
    def _head(self) -> dict[str, Floats]:
        """The head's tensors by name: one-shot trials ask for a scorer each."""
        return read_part(self.folder, "head")

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        return onnxruntime.InferenceSession(self.folder / "embedder.onnx", providers=["CPUExecutionProvider"])

    def _run(self, output: str, rows: NDArray[np.uint8]) -> Floats:
        """One output for rows (N, H, W, C), a few at a time."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True  # else places are computed even where nobody asks for them
        images = np.ascontiguousarray(rows.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)
        parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        return np.concatenate([self._session.run([output], {"images": part}, options)[0] for part in parts])


def load_trained(folder: Path) -> Program:
    """Open a trained model's folder.

    Raises:
        ModelError: It is none, it is damaged, or it was written before programs were part of it.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder}: {missing[0]} is missing", "run the stage evaluate again")
    try:
        config, rendering, classes = (json.loads((folder / name).read_text("utf-8")) for name in FILES[1:4])
        return Program(folder, config, classes, Rendering(**rendering))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{folder}: a file is damaged ({error})", "run the stage evaluate again") from None
