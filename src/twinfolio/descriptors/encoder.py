"""From images to one vector each: bags of words, VLAD or a hash, fitted on training images and kept in a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from twinfolio.descriptors.bow import BagOfWords
from twinfolio.descriptors.hashing import HASHES, HashKind, hash_bits
from twinfolio.descriptors.local import LOCAL, Extractor, LocalFeatures, LocalKind, cache_key, extract
from twinfolio.descriptors.vlad import vlad
from twinfolio.descriptors.vocabulary import Vocabulary
from twinfolio.errors import DataError, ModelError
from twinfolio.retrieval.cache import EmbeddingCache


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
        seed: Of the vocabulary.
    """

    descriptor: LocalKind | HashKind
    encoding: Literal["bow", "vlad"] = "vlad"
    words: int = 64
    most: int = 500
    enlarge: float = 1.0
    power: float = 0.5
    seed: int = 0

    @property
    def name(self) -> str:
        """``vlad_rootsift``, ``phash``."""
        return f"{self.encoding}_{self.descriptor}" if self.descriptor in LOCAL else self.descriptor

    @property
    def extractor(self) -> Extractor | None:
        """What looks for key points; None for a hash."""
        if self.descriptor in HASHES:
            return None
        return Extractor(cast("LocalKind", self.descriptor), self.most, self.enlarge)


@dataclass(frozen=True)
class Encoder:
    """A fitted encoder.

    Attributes:
        spec: How images become vectors.
        bags: Words and their weights; None for a hash.
        workers: Processes that look for key points.
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
            workers: Processes.
            cache: See ``Encoder``.

        Raises:
            DataError: No image has a key point, or there are fewer key points than words.
        """
        unfitted = cls(spec, None, workers, cache)
        if spec.extractor is None:
            return unfitted
        features = unfitted.features(images)
        if features.without == len(features):
            raise DataError(f"{spec.descriptor}: none of {len(features)} images has a key point", "enlarge the images")
        vocabulary = Vocabulary.fit(features, spec.words, spec.seed)
        return cls(spec, BagOfWords.fit(features, vocabulary), workers, cache)

    def features(self, images: NDArray[np.uint8]) -> LocalFeatures:
        """Key points of images (N, H, W, C).

        Raises:
            ValueError: A hash has none.
        """
        extractor = self.spec.extractor
        if extractor is None:
            raise ValueError(f"{self.spec.descriptor} has no key points")
        cache = None if self.cache is None else EmbeddingCache(self.cache, cache_key(extractor))
        return extract(images, extractor, workers=self.workers, cache=cache)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors (N, D) of images uint8 (N, H, W, C); zero where an image has no key point."""
        if self.bags is None:
            return np.stack([hash_bits(image, cast("HashKind", self.spec.descriptor)) for image in images])
        features = self.features(images)
        if self.spec.encoding == "bow":
            return self.bags.encode(features)
        return vlad(features, self.bags.vocabulary, power=self.spec.power)

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and, where there are words, ``encoder.npz``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "encoder.json").write_text(json.dumps(asdict(self.spec), indent=2) + "\n", encoding="utf-8")
        if self.bags is not None:
            np.savez(folder / "encoder.npz", words=self.bags.vocabulary.words, idf=self.bags.idf)

    @classmethod
    def load(cls, folder: Path, *, workers: int = 1, cache: Path | None = None) -> Encoder:
        """Read what ``save`` wrote.

        Args:
            folder: The folder.
            workers: Processes.
            cache: See ``Encoder``.

        Raises:
            ModelError: It holds no encoder.
        """
        try:
            spec = EncoderSpec(**json.loads((folder / "encoder.json").read_text(encoding="utf-8")))
            if spec.extractor is None:
                return cls(spec, None, workers, cache)
            with np.load(folder / "encoder.npz", allow_pickle=False) as file:
                bags = BagOfWords(Vocabulary(file["words"]), file["idf"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{folder}: holds no encoder ({error})", "fit it again") from None
        return cls(spec, bags, workers, cache)
