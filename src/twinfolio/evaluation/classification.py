"""Classification metrics from one confusion matrix; macro means run over the classes that have images here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from twinfolio.evaluation.arrays import Flags, Floats, Integers, finite_scores, same_length


@dataclass(frozen=True)
class ClassificationReport:
    """Per-class values and their means, derived from counts, 0/0 being 0.

    Args:
        confusion: Images of class row called column (C, C).
    """

    confusion: Integers

    @property
    def support(self) -> Integers:
        """Images of each class (C,)."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def tested(self) -> Flags:
        """Classes with images (C,): those a macro mean runs over."""
        return self.support > 0

    @property
    def precision(self) -> Floats:
        """Share of images called this class that are (C,)."""
        return _divide(self.confusion.diagonal(), self.confusion.sum(axis=0))

    @property
    def recall(self) -> Floats:
        """Share of this class's images called so (C,)."""
        return _divide(self.confusion.diagonal(), self.support)

    @property
    def f1(self) -> Floats:
        """2 TP / (support + called) (C,)."""
        return _divide(2 * self.confusion.diagonal(), self.support + self.confusion.sum(axis=0))

    def metrics(self) -> dict[str, float]:
        """`accuracy`, `macro_*` over the tested classes, `weighted_*` by support, `n_images`, `n_classes` tested."""
        support = self.support
        n_images = int(support.sum())
        values = {"accuracy": float(self.confusion.trace()) / max(n_images, 1)}
        for name, array in (("precision", self.precision), ("recall", self.recall), ("f1", self.f1)):
            values[f"macro_{name}"] = float(array[self.tested].mean()) if n_images else 0.0
            values[f"weighted_{name}"] = float(array @ support) / max(n_images, 1)
        return values | {"n_images": float(n_images), "n_classes": float(self.tested.sum())}

    def per_class(self, classes: Sequence[str]) -> pd.DataFrame:
        """A row a class: `label, precision, recall, f1, support`; classes without images have support 0."""
        return pd.DataFrame(
            {
                "label": list(classes),
                "precision": self.precision,
                "recall": self.recall,
                "f1": self.f1,
                "support": self.support,
            }
        )


def _divide(part: Integers, whole: Integers) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))


def classification_report(labels: ArrayLike, predictions: ArrayLike, n_classes: int) -> ClassificationReport:
    """Counts predictions (N,) against labels (N,), both class numbers below n_classes.

    Raises:
        ValueError: Lengths differ or a number is not a class.
    """
    truth, said = np.asarray(labels, dtype=np.int64), np.asarray(predictions, dtype=np.int64)
    same_length(labels=truth, predictions=said)
    if len(truth) and (min(truth.min(), said.min()) < 0 or max(truth.max(), said.max()) >= n_classes):
        raise ValueError(f"a class number is outside 0..{n_classes - 1}")
    cells = np.bincount(truth * n_classes + said, minlength=n_classes**2)
    return ClassificationReport(cells.reshape(n_classes, n_classes).astype(np.int64))


def top_k_hits(labels: ArrayLike, probabilities: ArrayLike, k: int = 5) -> Floats:
    """Chance (N,) that the true class is among the k most probable ones, ties in random order.

    A constant scorer gets k / C, not 1.
    """
    array, truth = finite_scores(probabilities, 2), np.asarray(labels, dtype=np.int64)
    same_length(labels=truth, probabilities=array)
    own = np.take_along_axis(array, truth[:, None], axis=1)
    above, tied = (array > own).sum(axis=1), (array == own).sum(axis=1)
    return np.asarray(np.clip((k - above) / tied, 0.0, 1.0))


def top_k_accuracy(labels: ArrayLike, probabilities: ArrayLike, k: int = 5) -> float:
    """Mean of `top_k_hits`."""
    return float(top_k_hits(labels, probabilities, k).mean())
