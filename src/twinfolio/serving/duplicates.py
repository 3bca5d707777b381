"""Clusters of images that show the same picture, in any folder: by what ``split`` goes by, and by a model's vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.duplicates import duplicate_links, similar_pairs
from twinfolio.data.images import ImageFacts, probe_all
from twinfolio.data.linked import Forest
from twinfolio.data.sources.folder import class_of, list_images
from twinfolio.retrieval.cache import EmbeddingCache
from twinfolio.retrieval.scorers import Floats, unit_rows
from twinfolio.retrieval.whitening import fit_whitening
from twinfolio.serving.folder import Embedded, Progress, embed_folder
from twinfolio.serving.program import Program

KINDS = {"bytes": "exact", "pixels": "exact", "near": "near by hash", "embedding": "near by embedding"}
"""Kinds of links, the surest first, and what a cluster is called that needs this one."""
DIMS, SHRINKAGE = 256, 0.03
"""Of the whitening: of those tried, they find most copies planted in validation and in unknown manuscripts alike."""


@dataclass(frozen=True)
class ByEmbedding:
    """How images are compared by a model.

    Attributes:
        program: The model.
        gallery: (R, D) a trained model's own embeddings, which a whitening is learned from: what tells classes apart
            has most of their spread, and says nothing about whether two images of a class are the same. None compares
            vectors as they are: a classical system's were not made to tell classes apart.
        cache: Where embeddings are kept.
        least: Least cosine of two images' vectors.
        progress: See ``embed_folder``.
    """

    program: Program
    gallery: Floats | None
    cache: EmbeddingCache
    least: float
    progress: Progress | None = None


@dataclass(frozen=True)
class LinkedPair:
    """Two images of a cluster.

    Attributes:
        kind: One of ``KINDS``.
        a: Path of the earlier one, below the folder.
        b: Path of the later one.
        cosine: Of their vectors; None where another kind links them.
    """

    kind: str
    a: str
    b: str
    cosine: float | None = None

    @property
    def labels(self) -> list[str]:
        """Their classes: one, or two."""
        return labels_of([self.a, self.b])


@dataclass(frozen=True)
class Cluster:
    """Images that hang together.

    Attributes:
        members: Paths below the folder, sorted.
        links: What joins them, one fewer than members, the surest kinds first.
    """

    members: list[str]
    links: list[LinkedPair]

    @property
    def kind(self) -> str:
        """What the cluster needs to hang together: ``exact`` only where all its images are identical."""
        return KINDS[self.links[-1].kind]

    @property
    def labels(self) -> list[str]:
        """The classes of its images, sorted; none where all lie outside of class folders."""
        return labels_of(self.members)


@dataclass(frozen=True)
class Findings:
    """What lies in a folder.

    Attributes:
        images: How many could be read.
        clusters: By their first member.
        left_out: Path and reason of images that could not be read, or not embedded.
    """

    images: int
    clusters: list[Cluster]
    left_out: list[tuple[str, str]]


def find_clusters(folder: Path, bits: int, model: ByEmbedding | None = None, *, bar: bool = False) -> Findings:
    """Cluster all images below a folder, whatever class folders they lie in.

    Within a class these are the clusters that ``split`` keeps together (see ``data.duplicates``), joined further by
    near-duplicates of other classes and by a model where there is one.

    Args:
        folder: Of images, of class folders, or of both.
        bits: See ``duplicate_links``.
        model: Also compares images; None: hashes alone do.
        bar: Show progress on standard error.

    Raises:
        DataError: It is no folder, or the model's cache is damaged.
    """
    listing = list_images(folder, classes=False)
    probed = list(zip(listing.paths, probe_all([folder / path for path in listing.paths], bar=bar), strict=True))
    facts = {path: result for path, result in probed if isinstance(result, ImageFacts)}
    left_out = {**dict(listing.left_out), **{path: result for path, result in probed if isinstance(result, str)}}
    paths = list(facts)
    by_hash = duplicate_links(list(facts.values()), bits)
    links: Iterator[LinkedPair] = (LinkedPair(kind, paths[a], paths[b]) for kind, a, b in by_hash)
    if model is not None and paths:
        embedded = embed_folder(folder, model.program, model.cache, progress=model.progress)
        start = len(embedded.source) + 1
        left_out = {path[start:]: reason for path, reason in embedded.left_out.items()} | left_out
        links = chain(links, (link for link in _similar(embedded, model) if {link.a, link.b} <= facts.keys()))
    return Findings(len(paths), clusters_of(paths, links), sorted(left_out.items()))


def clusters_of(paths: Sequence[str], links: Iterator[LinkedPair]) -> list[Cluster]:
    """Clusters of two or more images, from all links between them.

    Args:
        paths: Of the images, sorted.
        links: The surest kinds first; one that joins nothing new is passed over.
    """
    place = {path: index for index, path in enumerate(paths)}
    forest = Forest(len(paths))
    kept = [link for link in links if forest.join(place[link.a], place[link.b])]
    first = forest.firsts().tolist()
    members: dict[int, list[str]] = {}
    for path, index in place.items():
        members.setdefault(first[index], []).append(path)
    joined: dict[int, list[LinkedPair]] = {}
    for link in kept:
        joined.setdefault(first[place[link.a]], []).append(link)
    return [Cluster(members[root], joined[root]) for root in sorted(joined)]


def labels_of(paths: Sequence[str]) -> list[str]:
    """The class folders of some paths, sorted, each once."""
    return sorted({label for label in map(class_of, paths) if label})


def _similar(embedded: Embedded, model: ByEmbedding) -> Iterator[LinkedPair]:
    """Pairs of images whose vectors have a cosine of at least ``model.least``."""
    first = np.flatnonzero(embedded.rows.tile == "0")
    if not len(first):
        return
    start = len(embedded.source) + 1
    paths = [path[start:] for path in embedded.rows.path[first]]
    vectors = _image_vectors(model, embedded.vectors, first)
    for pairs in similar_pairs(vectors, model.least):
        cosines = np.einsum("pd,pd->p", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
        for (a, b), cosine in zip(pairs.tolist(), cosines.tolist(), strict=True):
            yield LinkedPair("embedding", paths[a], paths[b], min(1.0, cosine))


def _image_vectors(model: ByEmbedding, rows: Floats, first: NDArray[np.int64]) -> Floats:
    """One vector of norm 1 an image, whitened where there is a gallery: the mean direction of its tiles.

    Args:
        model: How images are compared.
        rows: (R, D), a row a tile.
        first: (N,) row of each image's first tile.
    """
    recipe = model.program.recipe
    tiles = unit_rows(recipe.vectors_of(rows))
    if model.gallery is not None:
        tiles = fit_whitening(recipe.vectors_of(model.gallery), DIMS, SHRINKAGE).apply(tiles)
    return unit_rows(np.add.reduceat(tiles, first, axis=0))
