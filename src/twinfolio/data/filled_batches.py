"""Batches of one size from classes of any size, down to a single image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.dealing import Deck, share_out
from twinfolio.data.sampling import Batches, ImageTable, Rows
from twinfolio.errors import DataError


class FilledBatches(Batches):
    """P x K rows a batch: up to K different images of a class, and as many classes as it takes to fill the batch.

    Classes come up in proportion to their rows and their images are dealt like cards, so that a pass over the data
    shows every row about once. A class with fewer than K images gives those it has, once a batch; a class of a single
    image gives it twice: the two rows are augmented differently, a weak positive pair, and they are negatives to all
    others. Where there are fewer than P classes, each gives more than K images.

    Over several ranks each epoch deals the images of a class out to the ranks, so that no image is on two ranks at
    once.

    Args:
        labels: (N,) class of each row.
        sources: (N,) number of the image each row stems from.
        classes_per_batch: P.
        images_per_class: K.
        steps: Batches an epoch and rank; None: a pass over the rows.
        seed: Seed of the run.
        rank: Rank of this process.
        world: Number of processes.

    Raises:
        DataError: There are fewer than two classes.
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
        self.classes = np.unique(self.table.labels)
        if len(self.classes) < 2:
            raise DataError("one class has train images", "give at least two: there is nothing to tell apart")
        self.rows = classes_per_batch * images_per_class
        self.per_class = max(images_per_class, -(-self.rows // len(self.classes)))
        self.steps = steps or -(-len(labels) // (self.rows * world))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Rows]:
        decks, generator = self._decks(), self.own_generator()
        hands = _Hands(
            {c: (len(deck.images), int(self.table.row_counts[c])) for c, deck in decks.items()}, self.per_class
        )
        for _ in range(self.steps):
            images: list[int] = []
            for label in hands.batch(self.rows, generator):
                size = min(self.per_class, self.rows - len(images))
                drawn = decks[label].draw(size, generator)
                images.extend([*drawn, *drawn] if len(decks[label].images) == 1 and size > 1 else drawn)
            yield self.table.draw_rows(np.array(images, dtype=np.int64), generator)

    def _decks(self) -> dict[int, Deck]:
        """This rank's images of each class it has any of."""
        shared = self.shared_generator()
        decks = {}
        for label in self.classes:
            images = self.table.images(label)
            if len(images) > 1:
                own = share_out(images, self.world, shared)[self.rank]
            else:
                own = images if shared.integers(self.world) == self.rank else images[:0]
            if len(own):
                decks[int(label)] = Deck(own)
        if len(decks) < 2:
            raise DataError(f"too few train images for {self.world} devices", "set trainer.devices lower")
        return decks


class _Hands:
    """Choice of the classes of the next batch.

    Args:
        classes: Class -> its number of images and of rows.
        per_class: Most images of a class in a batch.
    """

    def __init__(self, classes: dict[int, tuple[int, int]], per_class: int) -> None:
        self.size = {label: 2 if images == 1 else min(images, per_class) for label, (images, _) in classes.items()}
        turns = {label: max(1, round(rows / self.size[label])) for label, (_, rows) in classes.items()}
        self.a_pass = np.repeat(list(turns), list(turns.values()))
        self.queue: deque[int] = deque()

    def batch(self, rows: int, generator: np.random.Generator) -> list[int]:
        """Different classes whose hands come to ``rows`` rows or, with the last cut short, a little more."""
        chosen: list[int] = []
        passed: list[int] = []
        count = 0
        while count < rows and len(chosen) < len(self.size):
            if not self.queue:
                self.queue.extend(int(label) for label in generator.permutation(self.a_pass))
            label = self.queue.popleft()
            if label in chosen:
                passed.append(label)  # again in a later batch
                continue
            chosen.append(label)
            count += self.size[label]
        self.queue.extendleft(reversed(passed))
        return chosen
