"""Which rows of the store make a batch: shuffled rows, P x K batches, one-shot episodes, padded shards.

Every sampler here is a pure function of ``(seed, epoch, rank)``: it keeps no state between epochs, so a run that is
resumed at an epoch's start sees the batches an uninterrupted run would have seen. Batches are arrays of row numbers,
meant for ``DataLoader(dataset, sampler=batches, batch_size=None)``: a batch is one fancy index on the store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.dealing import Deck, class_schedule, share_out
from twinfolio.errors import DataError

Rows = NDArray[np.int64]


class Batches(ABC):
    """Batches of row numbers for one rank, drawn anew for every epoch.

    Args:
        seed: Seed of the run.
        rank: Rank of this process.
        world: Number of processes.
    """

    def __init__(self, *, seed: int, rank: int = 0, world: int = 1) -> None:
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws (Lightning calls this)."""
        self.epoch = epoch

    def shared_generator(self) -> np.random.Generator:
        """A generator that is the same on all ranks."""
        return np.random.default_rng((self.seed, self.epoch))

    def own_generator(self) -> np.random.Generator:
        """A generator of this rank's own."""
        return np.random.default_rng((self.seed, self.epoch, 1 + self.rank))

    @abstractmethod
    def __len__(self) -> int:
        """Number of batches an epoch, equal on all ranks."""

    @abstractmethod
    def __iter__(self) -> Iterator[Rows]:
        """The batches of the chosen epoch."""


class ShuffledBatches(Batches):
    """All rows in a random order, each at most once a pass; ranks get disjoint shares of equal size.

    A remainder smaller than the number of ranks is left out (other rows each pass), and so is a last batch of a
    single row, which batch normalisation cannot take.

    Args:
        rows: Number of rows.
        batch_size: Rows a batch and rank.
        steps: Batches an epoch, over as many passes as that takes; None: those of one pass.
        seed: Seed of the run.
        rank: Rank of this process.
        world: Number of processes.
    """

    def __init__(
        self, rows: int, batch_size: int, *, steps: int | None = None, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        super().__init__(seed=seed, rank=rank, world=world)
        if rows // world < 2:
            raise DataError(f"the train store has {rows} rows for {world} devices", "give at least two for each")
        self.rows, self.batch_size = rows, batch_size
        full, rest = divmod(rows // world, batch_size)
        self.a_pass = full + (rest > 1)
        self.steps = steps or self.a_pass

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Rows]:
        generator = self.shared_generator()
        for step in range(self.steps):
            at = step % self.a_pass
            if at == 0:
                order = generator.permutation(self.rows)[self.rank :: self.world][: self.rows // self.world]
            yield order[at * self.batch_size : (at + 1) * self.batch_size]


class PairBatches(ShuffledBatches):
    """Given pairs in a random order, each at most once an epoch; a batch is its first rows, then their partners.

    Args:
        pairs: (P, 2) rows of each pair.
        batch_size: Pairs a batch and rank.
        seed: Seed of the run.
        rank: Rank of this process.
        world: Number of processes.
    """

    def __init__(self, pairs: NDArray[np.int64], batch_size: int, *, seed: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(len(pairs), batch_size, seed=seed, rank=rank, world=world)
        self.pairs = pairs

    def __iter__(self) -> Iterator[Rows]:
        for chosen in super().__iter__():
            yield self.pairs[chosen].T.ravel()


class ShardBatches(Batches):
    """All rows in their order, dealt out to the ranks, the last ones repeated so that all ranks have equal steps.

    Whoever gathers the results drops the repeats by their row number.

    Args:
        rows: Number of rows.
        batch_size: Rows a batch.
        rank: Rank of this process.
        world: Number of processes.
    """

    def __init__(self, rows: int, batch_size: int, *, rank: int = 0, world: int = 1) -> None:
        super().__init__(seed=0, rank=rank, world=world)
        share = -(-rows // world)
        self.order = np.arange(rank * share, (rank + 1) * share, dtype=np.int64).clip(max=rows - 1)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[Rows]:
        for start in range(0, len(self.order), self.batch_size):
            yield self.order[start : start + self.batch_size]


class ImageTable:
    """The images behind the rows: a row is an image's original, augmented copy or tile.

    Args:
        labels: (N,) class of each row.
        sources: (N,) number of the image each row stems from.
    """

    def __init__(self, labels: NDArray[np.int64], sources: NDArray[np.int64]) -> None:
        _, first, image_of_row = np.unique(sources, return_index=True, return_inverse=True)
        order = np.argsort(image_of_row, kind="stable")
        self.rows = np.split(order.astype(np.int64), np.cumsum(np.bincount(image_of_row))[:-1])
        self.labels = np.asarray(labels)[first]
        self.row_counts = np.bincount(labels)

    def images(self, label: int) -> NDArray[np.int64]:
        """The images of a class, as positions in this table."""
        return np.flatnonzero(self.labels == label)

    def paired_classes(self) -> NDArray[np.int64]:
        """The classes with two or more images.

        Raises:
            DataError: There are fewer than two.
        """
        labels, counts = np.unique(self.labels, return_counts=True)
        classes = labels[counts > 1]
        if len(classes) < 2:
            raise DataError(
                f"{len(classes)} classes have two or more train images",
                "give at least two such classes: pairs are drawn from them",
            )
        return classes.astype(np.int64)

    def draw_rows(self, images: NDArray[np.int64], generator: np.random.Generator) -> Rows:
        """One random row (copy or tile) of each image."""
        return np.array([generator.choice(self.rows[image]) for image in images], dtype=np.int64)


class ClassBatches(Batches):
    """A fixed number of batches an epoch, drawn from several classes each; classes of one image are left out.

    Args:
        labels: (N,) class of each row.
        sources: (N,) number of the image each row stems from.
        classes_per_batch: P; all classes where there are fewer.
        images_per_class: K, rows a batch holds for each of them.
        steps: Batches an epoch and rank; None: N / (P K ranks), rounded up.
        seed: Seed of the run.
        rank: Rank of this process.
        world: Number of processes.

    Raises:
        DataError: Fewer than two classes have two images.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        sources: NDArray[np.int64],
        *,
        classes_per_batch: int,
        images_per_class: int,
        steps: int | None = None,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(seed=seed, rank=rank, world=world)
        self.table = ImageTable(labels, sources)
        self.per_class = images_per_class
        self.classes = self.table.paired_classes()
        self.classes_per_batch = min(classes_per_batch, len(self.classes))
        self.steps = steps or -(-len(labels) // (self.classes_per_batch * images_per_class * world))

    def __len__(self) -> int:
        return self.steps


class PKBatches(ClassBatches):
    """Batches of P classes x K different images, never two copies or tiles of one image.

    Within an epoch a class is visited in proportion to its rows (rows balanced by ``augment`` give balanced classes)
    and its images are dealt like cards: all are seen once before any is seen twice. A class with fewer than K images
    contributes those it has; one with a single image has no pair and is left out. Over several ranks each epoch deals
    the images of a class out to the ranks, so that no image is ever on two ranks at once and embeddings gathered
    across ranks hold no two copies of one image either.
    """

    def __iter__(self) -> Iterator[Rows]:
        decks = self._decks()
        generator = self.own_generator()
        for labels in self.schedule(np.array(sorted(decks), dtype=np.int64), generator):
            images = np.concatenate([decks[label].draw(self.per_class, generator) for label in labels])
            yield self.table.draw_rows(images, generator)

    def schedule(self, present: NDArray[np.int64], generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """The classes of each step.

        Args:
            present: Classes this rank has images of.
            generator: Source of the draw.
        """
        weights = self.table.row_counts[present].astype(np.float64)
        for chosen in class_schedule(weights, min(self.classes_per_batch, len(present)), self.steps, generator):
            yield present[chosen]

    def _decks(self) -> dict[int, Deck]:
        shared = self.shared_generator()
        shares = {int(c): share_out(self.table.images(c), self.world, shared)[self.rank] for c in self.classes}
        decks = {label: Deck(images) for label, images in shares.items() if len(images)}
        if len(decks) < 2:
            raise DataError(f"too few train images to pair on {self.world} devices", "set trainer.devices lower")
        return decks


class EpisodeBatches(ClassBatches):
    """The one-shot episodes of Khayyat et al. (the ``images`` and ``external`` lists, section III-C).

    For each class an anchor, a positive (another image of the class) and a negative (an image of another class) are
    drawn, evenly over images. A batch holds P of these episodes as rows (anchors, positives, negatives), (3 P,).
    """

    def __init__(self, labels: NDArray[np.int64], sources: NDArray[np.int64], **settings: Any) -> None:
        super().__init__(labels, sources, images_per_class=3, **settings)

    def __iter__(self) -> Iterator[Rows]:
        generator = self.own_generator()
        for _ in range(self.steps):
            labels = generator.permutation(self.classes)[: self.classes_per_batch]
            twins = np.array([generator.choice(self.table.images(c), 2, replace=False) for c in labels])
            others = np.array([generator.choice(np.flatnonzero(self.table.labels != c)) for c in labels])
            yield self.table.draw_rows(np.concatenate([twins[:, 0], twins[:, 1], others]), generator)
