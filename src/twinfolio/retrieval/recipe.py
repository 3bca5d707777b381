"""A recipe: what is done to embeddings and rankings, without training, before they are an answer.

Layout of a saved one::

    neighbours.json   the parts and what each is set to; null for a part that is left out
    neighbours.npz    mean and projection of the whitening, where there is one
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.errors import ModelError
from twinfolio.retrieval.embed import Forward
from twinfolio.retrieval.expansion import Expansion
from twinfolio.retrieval.matched import Matched, VectorsOnly
from twinfolio.retrieval.reciprocal import Reciprocal
from twinfolio.retrieval.scorers import BuildScorer, Floats, distance_scorer
from twinfolio.retrieval.views import Views
from twinfolio.retrieval.whitening import Whitening, fit_whitening

JSON, ARRAYS = "neighbours.json", "neighbours.npz"
_MEND = "run the stage evaluate again"
_PLAIN_PARTS: dict[str, Callable[..., Any]] = {
    "views": Views, "augmentation": Expansion, "expansion": Expansion, "reciprocal": Reciprocal, "matched": Matched,
}  # fmt: skip
"""Parts that are a few numbers."""


@dataclass(frozen=True)
class Recipe:
    """The parts in the order they act; with none of them images are ranked by the head as it is.

    Attributes:
        views: Several views of each image are embedded, of queries and of the gallery.
        whitening: Vectors are whitened and scored by cosine; the head is not asked, whose weights know other axes.
        augmentation: Each gallery image is blended with its neighbours, once (database side).
        expansion: Each query is blended with its neighbours and asked again.
        reciprocal: The first candidates are ranked again, by their neighbours.
        matched: The first candidates are ranked again, by the key points that their rows hold after a vector.

    Raises:
        ValueError: ``matched`` with a part that would blend key points, or with ``reciprocal``.
    """

    views: Views | None = None
    whitening: Whitening | None = None
    augmentation: Expansion | None = None
    expansion: Expansion | None = None
    reciprocal: Reciprocal | None = None
    matched: Matched | None = None

    def __post_init__(self) -> None:
        others = (self.views, self.augmentation, self.expansion, self.reciprocal)
        if self.matched is not None and any(part is not None for part in others):
            raise ValueError("matches go with no other part but a whitening")

    @property
    def reranked(self) -> int:
        """Candidates that are ranked again; 0 where none is."""
        how = self.reciprocal or self.matched
        return 0 if how is None else how.candidates

    @property
    def name(self) -> str:
        """The names of its parts, or ``plain``."""
        return " + ".join(self._parts()) or "plain"

    @property
    def setting(self) -> str:
        """What its parts are set to, in one line."""
        return "; ".join(
            ", ".join(f"{key} = {value}" for key, value in part.items()) for part in self._parts().values()
        )

    @property
    def first_pass(self) -> Recipe:
        """The recipe without re-ranking: its scores say how alike two images are, not who of the candidates is first.

        Whether a query is of a known class rests on these: a re-ranked score only compares candidates with each other.
        """
        vectors_alone = None if self.matched is None else replace(self.matched, candidates=0)
        return replace(self, reciprocal=None, matched=vectors_alone)

    def embed(self, forward: Forward, images: NDArray[np.uint8]) -> Floats:
        """Embeddings (N, D) of images (N, H, W, C) under the recipe's views: what an index keeps."""
        return np.asarray(self.forward(forward)(images), dtype=np.float32)

    def forward(self, forward: Forward) -> Forward:
        """An embedder under the recipe's views."""
        return forward if self.views is None else self.views.forward(forward)

    def fitted(self, vectors: Floats) -> Recipe:
        """The same recipe with its whitening learned from other embeddings (N, D), as for a model trained once more."""
        if self.whitening is None:
            return self
        own = self.vectors_of(vectors)
        return replace(self, whitening=fit_whitening(own, self.whitening.dims, self.whitening.shrinkage))

    def vectors_of(self, rows: Floats) -> Floats:
        """The vectors of rows (N, D) that may end in key points."""
        return rows if self.matched is None else rows[:, : -self.matched.columns]

    def transform(self, vectors: Floats) -> Floats:
        """Embeddings (N, D) as they are compared (N, K); key points after them stay as they are.

        Raises:
            ModelError: The whitening was learned from embeddings of another width.
        """
        whitening = self.whitening
        if whitening is None:
            return np.ascontiguousarray(vectors, dtype=np.float32)
        own = self.vectors_of(vectors)
        if own.shape[1] != len(whitening.mean):
            raise ModelError(
                f"{JSON}: whitening of {len(whitening.mean)} dimensions, embeddings of {own.shape[1]}", _MEND
            )
        whitened = whitening.apply(own)
        return whitened if self.matched is None else np.hstack([whitened, vectors[:, own.shape[1] :]])

    def scorer(self, build: BuildScorer) -> BuildScorer:
        """What scores transformed vectors: the head, or after a whitening the cosine."""
        scorer = build if self.whitening is None else distance_scorer("cosine")
        if self.matched is None:
            return scorer
        columns = self.matched.columns
        return lambda gallery: VectorsOnly(gallery, scorer, columns)

    def pairwise(self, build: BuildScorer, queries: Floats, gallery: Floats) -> Floats:
        """Scores (Q, M) of rows with others: whitened, and every one raised by matches, whatever the candidates."""
        of_queries, of_gallery = self.transform(queries), self.transform(gallery)
        scores = self.scorer(build)(of_gallery).pairwise(of_queries)
        gains = 0.0 if self.matched is None else self.matched.gains(of_queries, of_gallery)
        return np.asarray(scores + gains, dtype=np.float32)

    def head(self, kind: str) -> str:
        """What compares transformed vectors: a distance after a whitening, else the model's head of this kind."""
        if self.matched is not None:
            return "matched key points"
        return kind if self.whitening is None else "distance"

    def distance(self, head: str) -> str:
        """The distance under which transformed vectors are near: the head's, or after a whitening cosine."""
        return head if self.whitening is None else "cosine"

    def similarity(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Scores as shares in [0, 1]: the head's logits by the logistic function; cosines, where below 0, as 0."""
        wide = np.asarray(scores, dtype=np.float64)
        # SciPy's own takes longer to import than a query to answer
        return np.asarray(np.exp(-np.logaddexp(0, -wide)) if self.whitening is None else np.clip(wide, 0, 1))

    def unranked(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Final scores of images that no re-ranking reaches, from the scores of vectors."""
        if self.reciprocal is None:
            return np.asarray(scores, dtype=np.float64)
        return np.asarray(self.reciprocal.weight * self.similarity(scores))

    def save(self, folder: Path) -> None:
        """Write ``neighbours.json`` and, where there is a whitening, ``neighbours.npz``."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = folder / ARRAYS
        if self.whitening is None:
            arrays.unlink(missing_ok=True)
        else:
            part = arrays.with_name(f".{ARRAYS}.part")
            with part.open("wb") as file:
                np.savez(file, mean=self.whitening.mean, projection=self.whitening.projection)
            part.replace(arrays)
        text = json.dumps(self.facts(), indent=1, sort_keys=True) + "\n"
        part = folder / f".{JSON}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / JSON)

    def facts(self) -> dict[str, Any]:
        """What ``neighbours.json`` holds."""
        return {"name": self.name, **dict.fromkeys(("whitening", *_PLAIN_PARTS)), **self._facts()}

    def _facts(self) -> dict[str, dict[str, Any]]:
        """What each part that is there is set to, by attribute."""
        parts: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN_PARTS}
        found = {name: asdict(part) for name, part in parts.items() if part is not None}
        if self.whitening is not None:
            found["whitening"] = {"dims": self.whitening.dims, "shrinkage": self.whitening.shrinkage}
        return found

    def _parts(self) -> dict[str, dict[str, Any]]:
        """The same under the names tables use, in the order the parts act."""
        titles = {
            "views": "views", "whitening": "whitening", "augmentation": "database augmentation",
            "expansion": "query expansion", "reciprocal": "k-reciprocal", "matched": "matched key points",
        }  # fmt: skip
        facts = self._facts()
        return {title: facts[name] for name, title in titles.items() if name in facts}


def load_recipe(folder: Path) -> Recipe:
    """Read what ``Recipe.save`` wrote.

    Raises:
        ModelError: A file is missing or damaged.
    """
    path = folder / JSON
    try:
        raw = {"matched": None, **json.loads(path.read_text(encoding="utf-8"))}  # older files know no matches
        recipe = Recipe(**{name: _read(kind, raw[name]) for name, kind in _PLAIN_PARTS.items()})
        facts = raw["whitening"]
        return recipe if facts is None else replace(recipe, whitening=_read_whitening(folder / ARRAYS, facts))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: missing or damaged ({error})", _MEND) from None


def _read(kind: Callable[..., Any], facts: dict[str, Any] | None) -> Any:
    return None if facts is None else kind(**facts)


def _read_whitening(path: Path, facts: dict[str, Any]) -> Whitening:
    """The whitening, its arrays checked against each other."""
    import zlib
    from zipfile import BadZipFile

    try:
        with np.load(path, allow_pickle=False) as file:
            mean, projection = file["mean"], file["projection"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise ModelError(f"{path}: missing or damaged ({error})", _MEND) from None
    whole = mean.dtype == projection.dtype == np.float32 and projection.shape == (len(mean), facts["dims"])
    if not whole or not (np.isfinite(mean).all() and np.isfinite(projection).all()):
        raise ModelError(f"{path}: its arrays are not those that {JSON} names", _MEND)
    return Whitening(float(facts["shrinkage"]), mean, projection)
