"""How classes and images are dealt to batches: evenly, at random, and disjoint across ranks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class Deck:
    """Images dealt in hands of different ones: all are dealt once before any is dealt twice.

    Args:
        images: The images.
    """

    def __init__(self, images: NDArray[np.int64]) -> None:
        self.images = images
        self.pile = images[:0]

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """A hand of ``count`` different images, or of all where there are fewer."""
        count = min(count, len(self.images))
        hand, self.pile = self.pile[:count], self.pile[count:]
        if len(hand) < count:
            fresh = generator.permutation(self.images)
            new = np.isin(fresh, hand, invert=True)
            # what is in the hand already goes to the bottom of the new pile
            self.pile = np.concatenate([fresh[new], fresh[~new]])
            rest = count - len(hand)
            hand, self.pile = np.concatenate([hand, self.pile[:rest]]), self.pile[rest:]
        return hand


def class_schedule(
    weights: NDArray[np.float64], classes_per_batch: int, steps: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Different classes for each step, each class as often as its weight asks for (at most once a step).

    Args:
        weights: (C,) positive weight of each class.
        classes_per_batch: P, at most C.
        steps: Number of steps.
        generator: Source of the draw.

    Yields:
        (P,) positions in ``weights``, all different.
    """
    left = _visits(weights, classes_per_batch * steps, steps, generator)
    for remaining in range(steps, 0, -1):
        due = np.flatnonzero(left == remaining)
        free = np.flatnonzero((left > 0) & (left < remaining))
        count = classes_per_batch - len(due)
        drawn = generator.choice(free, count, replace=False, p=left[free] / left[free].sum()) if count else free[:0]
        chosen = generator.permutation(np.concatenate([due, drawn]))
        left[chosen] -= 1
        yield chosen


def _visits(weights: NDArray[np.float64], total: int, most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """``total`` visits shared out by weight, at most ``most`` each, fractions rounded by one systematic draw."""
    share = np.zeros(len(weights))
    capped = np.zeros(len(weights), dtype=bool)
    while not capped.all():
        share[~capped] = weights[~capped] / weights[~capped].sum() * (total - most * capped.sum())
        over = ~capped & (share > most)
        capped |= over
        share[capped] = most
        if not over.any():
            break
    order = generator.permutation(len(weights))
    edges = np.floor(np.concatenate([[0.0], np.cumsum(share[order])]).round(9) + generator.random())
    edges[-1] = edges[0] + total
    visits = np.empty(len(weights), dtype=np.int64)
    visits[order] = np.diff(edges).astype(np.int64)
    return visits


def share_out(images: NDArray[np.int64], world: int, generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """Deal images out to ranks: disjoint, at least two for a rank that gets any.

    Args:
        images: At least two images.
        world: Number of ranks.
        generator: The same on all ranks.
    """
    parts = np.array_split(generator.permutation(images), min(world, len(images) // 2))
    parts += [images[:0]] * (world - len(parts))
    return [parts[position] for position in generator.permutation(world)]
