"""Batches that hold classes of one family together: letters of one alphabet are the hard ones to tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinfolio.data.dealing import Deck
from twinfolio.data.sampling import EpisodeBatches, PKBatches, Rows
from twinfolio.errors import DataError


def class_families(classes: Sequence[str]) -> NDArray[np.str_]:
    """Family of each class: what stands before the first ``/`` of its name, or the same one for names without."""
    return np.array([name.split("/", 1)[0] if "/" in name else "" for name in classes], dtype=np.str_)


class FamilyBatches(PKBatches):
    """P x K batches of which a share of the P classes comes from one family and the rest from all others.

    Families come up in proportion to their classes, and families and the whole deal their classes like cards, so that
    over an epoch classes are visited nearly alike, whatever their number of images. Where the family has fewer classes
    than its share, the batch is filled up from the others.

    Args:
        labels: (N,) class of each row.
        sources: (N,) number of the image each row stems from.
        families: (C,) family of each class, by its label.
        within: Share of the classes of a batch that one family gives, 0 to 1.
        settings: See ``PKBatches``.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        sources: NDArray[np.int64],
        *,
        families: NDArray[np.str_],
        within: float,
        **settings: Any,
    ) -> None:
        super().__init__(labels, sources, **settings)
        self.families, self.within = families, within

    def schedule(self, present: NDArray[np.int64], generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """See ``PKBatches``."""
        size = min(self.classes_per_batch, len(present))
        everyone, by_family = Deck(present), _decks_of(present, self.families)
        turns = Deck(np.concatenate([np.full(len(deck.images), at) for at, deck in enumerate(by_family)]))
        for _ in range(self.steps):
            own = by_family[int(turns.draw(1, generator)[0])].draw(round(self.within * size), generator)
            dealt = everyone.draw(size - len(own), generator)
            chosen = np.concatenate([own, dealt[np.isin(dealt, own, invert=True)]])
            spare = np.setdiff1d(present, chosen)
            yield np.concatenate([chosen, generator.choice(spare, size - len(chosen), replace=False)])


class FamilyEpisodes(EpisodeBatches):
    """The pairs of Ma et al.: each anchor with an image of its class and with one of another class of its family.

    A batch is of one family, families in turn; its P anchors are dealt over the family's classes, with repeats where
    it has fewer than P. Rows are (anchors, positives, negatives), (3 P,): 2 P pairs.

    Args:
        labels: (N,) class of each row.
        sources: (N,) number of the image each row stems from.
        families: (C,) family of each class, by its label.
        settings: See ``EpisodeBatches``.

    Raises:
        DataError: A family has a single class.
    """

    def __init__(
        self, labels: NDArray[np.int64], sources: NDArray[np.int64], *, families: NDArray[np.str_], **settings: Any
    ) -> None:
        super().__init__(labels, sources, **settings)
        self.anchors = settings["classes_per_batch"]
        self.images = {int(label): self.table.images(label) for label in self.classes}
        self.of_family = [deck.images for deck in _decks_of(self.classes, families)]
        alone = [str(families[own[0]]) for own in self.of_family if len(own) < 2]
        if alone:
            raise DataError(f"{alone[0]}: one class, whose images have no pair within it", "leave it out")

    def __iter__(self) -> Iterator[Rows]:
        generator = self.own_generator()
        turns = Deck(np.arange(len(self.of_family)))
        for _ in range(self.steps):
            own = self.of_family[int(turns.draw(1, generator)[0])]
            anchors = np.resize(generator.permutation(own), self.anchors)
            # another class of the family: some places further round
            steps = generator.integers(1, len(own), size=self.anchors)
            negatives = own[(np.searchsorted(own, anchors) + steps) % len(own)]
            twins = np.array([generator.choice(self.images[int(c)], 2, replace=False) for c in anchors])
            others = np.array([generator.choice(self.images[int(c)]) for c in negatives])
            yield self.table.draw_rows(np.concatenate([twins[:, 0], twins[:, 1], others]), generator)


def _decks_of(classes: NDArray[np.int64], families: NDArray[np.str_]) -> list[Deck]:
    """A deck of the classes of each family, in the order of their names."""
    return [Deck(classes[families[classes] == name]) for name in np.unique(families[classes])]
