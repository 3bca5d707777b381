"""Local descriptors of many images: extracted side by side, kept by content, counted where there are none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.greys import to_grey
from twinfolio.descriptors.orb import orb
from twinfolio.descriptors.sift import rootsift
from twinfolio.descriptors.surf import surf
from twinfolio.retrieval.cache import EmbeddingCache

LocalKind = Literal["orb", "rootsift", "surf"]
LOCAL: tuple[LocalKind, ...] = get_args(LocalKind)
Detector = Callable[[NDArray[np.uint8], int], tuple[NDArray[np.float32], NDArray[np.float32]]]
_DETECTORS: dict[LocalKind, Detector] = {"orb": orb, "rootsift": rootsift, "surf": surf}
WIDTHS: dict[LocalKind, int] = {"orb": 256, "rootsift": 128, "surf": 64}
_KEPT_AT_ONCE = 256


@dataclass(frozen=True)
class Extractor:
    """What is looked for in an image.

    Attributes:
        kind: ``orb``, ``rootsift`` or ``surf``.
        most: Most key points an image.
        enlarge: Factor by which images are enlarged first.
    """

    kind: LocalKind
    most: int = 500
    enlarge: float = 1.0

    @property
    def width(self) -> int:
        """D of a descriptor."""
        return WIDTHS[self.kind]

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Key points (n, 2 + D) of an image uint8 (H, W, C): x and y in its own pixels, and the descriptor."""
        points, descriptors = _DETECTORS[self.kind](to_grey(image, self.enlarge), self.most)
        return np.concatenate([points / np.float32(self.enlarge), descriptors], axis=1, dtype=np.float32)


@dataclass(frozen=True)
class LocalFeatures:
    """Key points of N images, one image's after another's.

    Attributes:
        points: (T, 2) x and y in pixels.
        descriptors: (T, D).
        ends: (N + 1,) row at which each image begins, and T.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, images: Sequence[NDArray[np.float32]], width: int) -> LocalFeatures:
        """From the key points (n, 2 + D) of each image.

        Args:
            images: What an ``Extractor`` gives.
            width: D, which no image tells where none has a key point.
        """
        rows = np.concatenate([np.empty((0, 2 + width), np.float32), *images])
        ends = np.cumsum([0, *(len(one) for one in images)], dtype=np.int64)
        return cls(rows[:, :2], rows[:, 2:], ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """(N,) key points of each image."""
        return np.diff(self.ends)

    @property
    def owners(self) -> NDArray[np.int64]:
        """(T,) image of each key point."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def without(self) -> int:
        """Images without a key point."""
        return int((self.counts == 0).sum())

    def image(self, i: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Points (n, 2) and descriptors (n, D) of one image."""
        rows = slice(self.ends[i], self.ends[i + 1])
        return self.points[rows], self.descriptors[rows]


def concatenated(features: LocalFeatures, most: int, *, points: bool = False) -> NDArray[np.float32]:
    """Each image's first key points side by side (N, most * D), zeros where there are fewer.

    Args:
        features: Of N images.
        most: Key points of each that count.
        points: Put x and y before each descriptor: (N, most * (2 + D)).
    """
    rows = np.hstack([features.points, features.descriptors]) if points else features.descriptors
    out = np.zeros((len(features), most, rows.shape[1]), np.float32)
    for i, (start, end) in enumerate(pairwise(features.ends)):
        out[i, : min(most, end - start)] = rows[start : min(end, start + most)]
    return out.reshape(len(features), -1)


def extract(
    images: NDArray[np.uint8],
    extractor: Extractor,
    *,
    workers: int = 1,
    cache: EmbeddingCache | None = None,
    progress: str | None = None,
) -> LocalFeatures:
    """Key points of images; the same image is looked at once, and never again where there is a cache.

    Args:
        images: uint8 (N, H, W, C), or a sequence of (H, W, C); a memory map is read image by image.
        extractor: What is looked for.
        workers: Threads: OpenCV and mahotas hold no lock while they look.
        cache: Opened for ``cache_key(extractor)``; a run that was killed goes on from what it holds.
        progress: Name of the progress bar; None shows none.
    """
    contents = [_content(image) for image in images]
    found = cache.get(contents) if cache is not None else {}
    first = {content: row for row, content in reversed([*enumerate(contents)]) if content not in found}
    new_ones = _extracted(images, sorted(first.values()), extractor, workers, progress)
    while new := {contents[row]: rows for row, rows in islice(new_ones, _KEPT_AT_ONCE)}:
        found |= new
        if cache is not None:  # an image without key points is looked at again: it has no row to keep
            cache.put({content: rows for content, rows in new.items() if len(rows)})
    return LocalFeatures.of([found[content] for content in contents], extractor.width)


def cache_key(extractor: Extractor) -> str:
    """What a cache of an extractor's key points is opened for: its settings and the library's version."""
    import importlib.metadata

    library = "mahotas" if extractor.kind == "surf" else "opencv-python-headless"
    return f"{extractor} {library} {importlib.metadata.version(library)}"


def _content(image: NDArray[np.uint8]) -> str:
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _extracted(
    images: NDArray[np.uint8], rows: Sequence[int], extractor: Extractor, workers: int, progress: str | None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Row and key points of images, in order."""
    import cv2
    from tqdm import tqdm

    cv2.setNumThreads(1)  # an image is looked at by one thread, several images at once
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda row: extractor(np.asarray(images[row])), rows)
        yield from zip(rows, tqdm(found, progress, len(rows), unit="image", disable=progress is None), strict=True)
