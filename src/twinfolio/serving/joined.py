"""Joined systems' folder as a program: each member embeds, and their vectors stand side by side."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.store_plan import Rendering
from twinfolio.descriptors import encoder
from twinfolio.errors import ModelError
from twinfolio.retrieval import recipe
from twinfolio.retrieval.joined import JSON, MEMBERS, Join, load_join, own_vectors
from twinfolio.retrieval.scorers import Floats, Scorer, distance_scorer
from twinfolio.serving.encoded import load_encoded
from twinfolio.serving.program import Program, load_trained

_MEND = "run the stage evaluate again"


class JoinedProgram(Program):
    """See ``Program``; the folder holds ``joined.json`` and a folder for each member."""

    @cached_property
    def join(self) -> Join:
        """Names, weights and widths of the members.

        Raises:
            ModelError: ``joined.json`` is missing or damaged.
        """
        return load_join(self.folder)

    @cached_property
    def members(self) -> list[Program]:
        """The members, in the order of their vectors.

        Raises:
            ModelError: A member's folder is missing or damaged.
        """
        return [_open(self.folder / MEMBERS / name) for name in self.join.names]

    @cached_property
    def fingerprint(self) -> str:
        """See ``Program``."""
        digest = hashlib.sha256()
        for name in (JSON, "rendering.json", recipe.JSON, recipe.ARRAYS):
            if (self.folder / name).is_file():
                digest.update((self.folder / name).read_bytes())
        for member in self.members:
            digest.update(member.fingerprint.encode())
        return digest.hexdigest()

    @cached_property
    def split(self) -> None:
        """A joined score does not split into places."""

    def embed(self, rows: NDArray[np.uint8]) -> Floats:
        """See ``Program``."""
        return self.join.vectors([own_vectors(member.recipe, member.embed(rows)) for member in self.members])

    def embed_places(self, rows: NDArray[np.uint8]) -> None:
        """See ``split``."""

    def scorer(self, gallery: Floats) -> Scorer:
        """The cosine, which is the weighted mean of the members' cosines."""
        return distance_scorer("cosine")(gallery)

    def probabilities(self, embeddings: Floats) -> Floats:
        """Class probabilities (N, classes) of joined vectors (N, D), by the first member with a class layer.

        Raises:
            ModelError: No member has one that reads vectors of length 1.
        """
        for place, member in enumerate(self.members):
            if member.config.get("class_layer") is not None and member.config["normalise"]:
                return member.probabilities(self.join.part(place, embeddings))
        raise ModelError(f"{self.folder}: no member has a class layer", "name a trained model's folder")


def load_joined(folder: Path) -> JoinedProgram:
    """Open a folder of joined systems.

    Raises:
        ModelError: A file is missing or damaged.
    """
    try:
        rendering, classes = (
            json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("rendering", "classes")
        )
        config = {"head": "distance", "distance": "cosine", "normalise": True, "class_layer": None}
        return JoinedProgram(folder, config, classes, Rendering(**rendering))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder}: not a whole folder of joined systems ({error})", _MEND) from None


def _open(folder: Path) -> Program:
    return load_encoded(folder) if (folder / encoder.JSON).is_file() else load_trained(folder)
