"""Images that show the same picture: identical bytes, identical pixels, near-duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.images import THUMBNAIL, ImageFacts
from twinfolio.data.linked import Forest

if TYPE_CHECKING:
    import pandas as pd

Link = tuple[str, int, int]
"""Kind (bytes, pixels, near), and two images, the first one first."""
AGREEMENT = 0.95
"""Least correlation of the thumbnails' detail. Patches saved at JPEG quality 10, halved or brightened by a quarter stay
above .978; different patches of one page were never seen above .9."""
MIN_DETAIL = 3.0
"""Least standard deviation of the detail, in grey levels: a blank page has no detail that could agree."""
_COARSE = 4  # lowest DCT frequencies a side that are lighting and not detail
_BLOCK = 512  # rows compared with all others at once
_ROUNDING = 1e-6  # by which a product of equal vectors of norm 1 may miss 1
_PORTION = 8192  # pairs whose thumbnails are compared at once


@dataclass(frozen=True)
class Duplicates:
    """What ``find_duplicates`` found."""

    cluster: NDArray[np.int64]
    """(N,) Index of the first member of each image's cluster; its own index where it has no duplicate."""
    table: pd.DataFrame
    """``kind`` (bytes, pixels, near), ``a``, ``b`` (ids), ``labels`` (one, or two with ``|``). A row a link: of n
    pictures that are all alike n - 1 pairs are listed, and not n (n - 1) / 2."""


def find_duplicates(
    ids: Sequence[str], labels: Sequence[str], facts: Sequence[ImageFacts], bits: int = 4
) -> Duplicates:
    """Cluster the images that must not be separated and list what links them.

    Identical bytes and identical pixels are clustered whatever their labels; near-duplicates only within a class
    (across classes they are listed and stay apart).

    Args:
        ids: N names.
        labels: N classes.
        facts: N results of ``images.probe``.
        bits: See ``duplicate_links``.
    """
    import pandas as pd  # takes a second, and the command ``duplicates`` needs none

    clusters, alike = Forest(len(ids)), Forest(len(ids))
    rows: list[Link] = []
    for kind, a, b in duplicate_links(facts, bits):
        joins = kind != "near" or labels[a] == labels[b]
        new = alike.join(a, b)
        if clusters.join(a, b) if joins else new:
            rows.append((kind, a, b))
    table = [(kind, ids[a], ids[b], " | ".join(sorted({labels[a], labels[b]}))) for kind, a, b in rows]
    frame = pd.DataFrame(sorted(table), columns=["kind", "a", "b", "labels"], dtype="str")
    return Duplicates(clusters.firsts(), frame)


def duplicate_links(facts: Sequence[ImageFacts], bits: int) -> Iterator[Link]:
    """Every pair of images that is called a duplicate, the surest kind first.

    Args:
        facts: Results of ``images.probe``.
        bits: Near-duplicates differ in at most this many bits of the perceptual hash, and pass ``near_pairs``.
    """
    for kind, pairs in (
        ("bytes", identical_pairs([fact.sha256 for fact in facts])),
        ("pixels", identical_pairs([fact.pixel_hash for fact in facts])),
        ("near", near_pairs(facts, bits)),
    ):
        yield from ((kind, a, b) for a, b in pairs)


def identical_pairs(keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first index of a key, later index of the same key), for every later one."""
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        if first.setdefault(key, index) != index:
            yield first[key], index


def near_pairs(facts: Sequence[ImageFacts], bits: int) -> Iterator[tuple[int, int]]:
    """Pairs (i < j) of images that look the same at a glance.

    Their perceptual hashes differ in at most ``bits`` bits, and what is left of their 32 x 32 thumbnails without
    the lighting agrees: hashes alone collide on blank pages and binarised characters. Images smaller than the thumbnail
    have no near-duplicates, only identical ones.
    """
    large = np.array([min(fact.width, fact.height) >= THUMBNAIL for fact in facts], dtype=bool)
    thumbnails = np.frombuffer(b"".join(fact.thumbnail for fact in facts), np.uint8).reshape(len(facts), THUMBNAIL**2)
    detail, usable = thumbnail_detail(thumbnails)
    rows = np.flatnonzero(large & usable)
    hashes = np.array([int(facts[row].perceptual_hash, 16) for row in rows.tolist()], dtype=np.uint64)
    for pairs in close_pairs(hashes, bits):
        i, j = rows[pairs].T
        agree = np.einsum("pd,pd->p", detail[i], detail[j]) >= AGREEMENT
        yield from zip(i[agree].tolist(), j[agree].tolist(), strict=True)


def close_pairs(hashes: NDArray[np.uint64], bits: int) -> Iterator[NDArray[np.int64]]:
    """Pairs (P, 2), i < j, of 64-bit hashes with a Hamming distance of at most ``bits``, in order, in portions."""
    return _pairs_where(len(hashes), lambda a, b: np.bitwise_count(hashes[a, None] ^ hashes[None, b]) <= bits)


def similar_pairs(vectors: NDArray[np.float32], least: float) -> Iterator[NDArray[np.int64]]:
    """Pairs (P, 2), i < j, of vectors (N, D) of norm 1 with a cosine of at least ``least``, in order, in portions."""
    return _pairs_where(len(vectors), lambda a, b: vectors[a] @ vectors[b].T >= least - _ROUNDING)


def _pairs_where(n: int, alike: Callable[[slice, slice], NDArray[np.bool_]]) -> Iterator[NDArray[np.int64]]:
    """Pairs of 0..n-1 that are alike, a block of rows against all later ones at a time."""
    for start in range(0, n, _BLOCK):
        pairs = np.argwhere(np.triu(alike(slice(start, start + _BLOCK), slice(start, n)), 1)) + start
        yield from (pairs[low : low + _PORTION] for low in range(0, len(pairs), _PORTION))


def thumbnail_detail(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What a thumbnail shows beside its lighting.

    Args:
        thumbnails: (N, 1024) grey.

    Returns:
        (N, 1024) without the 4 x 4 lowest DCT frequencies, of norm 1; (N,) whether there is enough of it to compare.
    """
    grey = thumbnails.reshape(-1, THUMBNAIL, THUMBNAIL).astype(np.float32)
    order, place = np.arange(_COARSE)[:, None], np.arange(THUMBNAIL)[None]
    basis = np.cos(np.pi * order * (2 * place + 1) / (2 * THUMBNAIL))
    basis = (basis / np.linalg.norm(basis, axis=1, keepdims=True)).astype(np.float32)
    coarse = basis.T @ (basis @ grey @ basis.T) @ basis
    detail = (grey - coarse).reshape(len(grey), THUMBNAIL**2)
    norm = np.linalg.norm(detail, axis=1)
    return detail / np.maximum(norm, 1e-6)[:, None], norm >= MIN_DETAIL * THUMBNAIL
