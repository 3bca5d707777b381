"""A classical system's folder as a program: words and weights in place of a network."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.store_plan import Rendering
from twinfolio.descriptors.encoder import ARRAYS, JSON, Encoder
from twinfolio.descriptors.matching import Matching, match
from twinfolio.errors import ModelError
from twinfolio.retrieval import recipe
from twinfolio.retrieval.scorers import Floats, Scorer, distance_scorer
from twinfolio.serving.program import Program

MEND = "run the stage classical again"


class EncodedProgram(Program):
    """See ``Program``; the folder was written by the stage ``classical``. It knows no classes' probabilities."""

    @cached_property
    def encoder(self) -> Encoder:
        """What turns rows into vectors.

        Raises:
            ModelError: A file is missing or damaged.
        """
        return Encoder.load(self.folder)

    @cached_property
    def fingerprint(self) -> str:
        """See ``Program``."""
        names = (JSON, ARRAYS, "rendering.json", recipe.JSON, recipe.ARRAYS)
        digest = hashlib.sha256()
        for path in (self.folder / name for name in names):
            if path.is_file():
                digest.update(path.read_bytes())
        return digest.hexdigest()

    @cached_property
    def split(self) -> None:
        """No score of key points splits into places."""

    def embed(self, rows: NDArray[np.uint8]) -> Floats:
        """See ``Program``."""
        return self.encoder(rows)

    def embed_places(self, rows: NDArray[np.uint8]) -> None:
        """See ``split``."""

    def match_points(self, query: NDArray[np.uint8], answer: NDArray[np.uint8]) -> tuple[Floats, Floats] | None:
        """Where two rows (H, W, C) share key points: x and y on the one (m, 2) and on the other; None for a hash."""
        if self.encoder.spec.extractor is None:
            return None
        features = self.encoder.features(np.stack([query, answer]))
        (x, of_query), (y, of_answer) = features.image(0), features.image(1)
        pairs = match(of_query, of_answer, self.recipe.matched or Matching())
        return x[pairs[:, 0]], y[pairs[:, 1]]

    def scorer(self, gallery: Floats) -> Scorer:
        """See ``Program``."""
        return distance_scorer(self.encoder.spec.distance)(gallery)

    def pairwise(self, queries: Floats, gallery: Floats) -> Floats:
        """Scores (Q, M) of rows with others, whitened and raised by matches as the recipe says."""
        return self.recipe.pairwise(self.scorer, queries, gallery)

    def probabilities(self, embeddings: Floats) -> Floats:
        """None are known.

        Raises:
            ModelError: Always.
        """
        raise ModelError(f"{self.folder}: a classical system has no class layer", "name a trained model's folder")


def load_encoded(folder: Path) -> EncodedProgram:
    """Open a classical system's folder.

    Raises:
        ModelError: A file is missing or damaged.
    """
    try:
        rendering, classes = (
            json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("rendering", "classes")
        )
        distance = Encoder.load(folder).spec.distance
        config = {"head": "distance", "distance": distance, "normalise": distance != "l1"}
        return EncodedProgram(folder, config, classes, Rendering(**rendering))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder}: not a whole folder of a classical system ({error})", MEND) from None
