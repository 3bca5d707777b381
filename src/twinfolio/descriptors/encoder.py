"""From images to one vector each: bags of words, VLAD or a hash, fitted on training images and kept in a folder.

Vectors are scaled as their distance wants them, so that whatever ranks vectors by L1, L2 or cosine ranks these.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.bow import BagOfWords, scaled
from twinfolio.descriptors.hashing import BITS, HASHES, HashKind, hash_bits
from twinfolio.descriptors.local import (
    LOCAL,
    Extractor,
    LocalFeatures,
    LocalKind,
    cache_key,
    concatenated,
    extract,
)
from twinfolio.descriptors.vlad import vlad
from twinfolio.descriptors.vocabulary import Vocabulary
from twinfolio.errors import DataError, ModelError, ParamsError
from twinfolio.retrieval.cache import EmbeddingCache

JSON, ARRAYS = "encoder.json", "encoder.npz"
Distance = Literal["l1", "l2", "cosine"]
Encoding = Literal["bow", "vlad"]
_ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)


@dataclass(frozen=True)
class EncoderSpec:
    """How images become vectors.

    Attributes:
        descriptor: ``orb``, ``rootsift`` or ``surf``, or a hash: ``ahash``, ``dhash``, ``phash``, ``whash``.
        encoding: ``bow`` or ``vlad`` of local descriptors; not read for a hash.
        words: Visual words.
        most: Most key points an image.
        enlarge: Factor by which images are enlarged before key points are looked for.
        power: See ``vlad``.
        distance: What compares vectors: ``l1``, ``l2`` or ``cosine`` for bags of words; VLAD and hashes take cosine.
        matched: Key points an image that follow its vector, for a re-ranking by matches; 0 for none.
        seed: Of the vocabulary.

    Raises:
        ValueError: A hash with key points to match, or a distance that is not for this encoding.
    """

    descriptor: LocalKind | HashKind
    encoding: Encoding = "vlad"
    words: int = 64
    most: int = 500
    enlarge: float = 1.0
    power: float = 0.5
    distance: Distance = "cosine"
    matched: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        bags = self.encoding == "bow" and self.descriptor in LOCAL
        if (self.distance != "cosine" and not bags) or (self.matched and self.descriptor in HASHES):
            raise ValueError(f"{self.name}: distance = {self.distance}, matched = {self.matched}")

    @property
    def name(self) -> str:
        """``vlad_rootsift``, ``phash``, ``bow_orb_matched``."""
        local = f"{self.encoding}_{self.descriptor}{'_matched' if self.matched else ''}"
        return local if self.descriptor in LOCAL else self.descriptor

    @property
    def extractor(self) -> Extractor | None:
        """What looks for key points; None for a hash."""
        if self.descriptor in HASHES:
            return None
        return Extractor(cast("LocalKind", self.descriptor), self.most, self.enlarge)

    @property
    def width(self) -> int:
        """D of a descriptor, of a hash its bits."""
        extractor = self.extractor
        return BITS if extractor is None else extractor.width


def spec_named(name: str) -> EncoderSpec:
    """The plain spec of a name such as ``vlad_rootsift``, ``bow_orb_matched`` or ``phash``.

    Raises:
        ParamsError: No encoder has that name.
    """
    local = {
        f"{encoding}_{kind}{end}": EncoderSpec(kind, encoding, matched=matched)
        for encoding in _ENCODINGS
        for kind in LOCAL
        for end, matched in (("", 0), ("_matched", 200))
    }
    known = local | {kind: EncoderSpec(kind) for kind in HASHES}
    if name not in known:
        raise ParamsError(f"no classical system is called {name!r}", f"choose among {', '.join(known)}")
    return known[name]


@dataclass(frozen=True)
class Encoder:
    """A fitted encoder.

    Attributes:
        spec: How images become vectors.
        bags: Words and their weights; None for a hash.
        workers: Threads that look for key points.
        cache: SQLite file of key points by content; None keeps none.
    """

    spec: EncoderSpec
    bags: BagOfWords | None = None
    workers: int = 1
    cache: Path | None = None

    @classmethod
    def fit(
        cls, spec: EncoderSpec, images: NDArray[np.uint8], *, workers: int = 1, cache: Path | None = None
    ) -> Encoder:
        """Find words and weights among training images.

        Args:
            spec: How images become vectors.
            images: uint8 (N, H, W, C), of the train split alone.
            workers: Threads that look for key points.
            cache: See ``Encoder``.

        Raises:
            DataError: No image has a key point, or there are fewer key points than words.
        """
        unfitted = cls(spec, None, workers, cache)
        return unfitted if spec.extractor is None else unfitted.fit_features(unfitted.features(images))

    def fit_features(self, features: LocalFeatures) -> Encoder:
        """The same with words and weights of these key points of training images (errors as ``fit``)."""
        if features.without == len(features):
            name = self.spec.descriptor
            raise DataError(f"{name}: none of {len(features)} images has a key point", "enlarge the images")
        vocabulary = Vocabulary.fit(features, self.spec.words, self.spec.seed)
        return replace(self, bags=BagOfWords.fit(features, vocabulary))

    def features(self, images: NDArray[np.uint8], progress: str | None = None) -> LocalFeatures:
        """Key points of images (N, H, W, C).

        Args:
            images: uint8.
            progress: Name of the progress bar; None shows none.

        Raises:
            ValueError: A hash has none.
        """
        extractor = self.spec.extractor
        if extractor is None:
            raise ValueError(f"{self.spec.descriptor} has no key points")
        cache = None if self.cache is None else EmbeddingCache(self.cache, cache_key(extractor))
        return extract(images, extractor, workers=self.workers, cache=cache, progress=progress)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of images uint8 (N, H, W, C).

        A hash's bits are +-1/8, so that a cosine is 1 minus twice the share of bits that differ.
        """
        if self.spec.extractor is None:
            bits = np.stack([hash_bits(image, cast("HashKind", self.spec.descriptor)) for image in images])
            return np.asarray((2 * bits - 1) / np.sqrt(BITS), np.float32)
        return self.encode(self.features(images))

    def encode(self, features: LocalFeatures) -> NDArray[np.float32]:
        """Rows of N images: vectors (N, D), then the key points to match where any are kept (N, D + P).

        An image without a key point is like no other one.
        """
        if self.bags is None:
            raise ValueError(f"{self.spec.name} is not fitted")
        if self.spec.encoding == "bow":
            vectors = scaled(self.bags.encode(features), self.spec.distance)
        else:
            vectors = vlad(features, self.bags.vocabulary, power=self.spec.power)
        if not self.spec.matched:
            return vectors
        return np.hstack([vectors, concatenated(features, self.spec.matched, points=True)])

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and, where there are words, ``encoder.npz``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / JSON).write_text(json.dumps(asdict(self.spec), indent=2) + "\n", encoding="utf-8")
        if self.bags is not None:
            np.savez(folder / ARRAYS, words=self.bags.vocabulary.words, idf=self.bags.idf)

    @classmethod
    def load(cls, folder: Path, *, workers: int = 1, cache: Path | None = None) -> Encoder:
        """Read what ``save`` wrote.

        Args:
            folder: The folder.
            workers: Threads that look for key points.
            cache: See ``Encoder``.

        Raises:
            ModelError: It holds no encoder.
        """
        try:
            spec = EncoderSpec(**json.loads((folder / JSON).read_text(encoding="utf-8")))
            if spec.extractor is None:
                return cls(spec, None, workers, cache)
            with np.load(folder / ARRAYS, allow_pickle=False) as file:
                bags = BagOfWords(Vocabulary(file["words"]), file["idf"])
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise ModelError(f"{folder}: holds no encoder ({error})", "fit it again") from None
        return cls(spec, bags, workers, cache)
