"""What Mtasher & Msad print of a CNN, SIFT and SURF, and what recomputing it says about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Printed:
    """A row of the paper's table, or a sentence of its text.

    Attributes:
        name: The method, and where it is printed.
        accuracy: As printed.
        precision: As printed.
        recall: As printed.
        ours: Our systems that stand for it.
    """

    name: str
    accuracy: float
    precision: float
    recall: float
    ours: tuple[str, ...]

    @property
    def f1(self) -> float:
        """2 P R / (P + R) of the printed precision and recall; the paper defines F1 and prints none."""
        return 2 * self.precision * self.recall / (self.precision + self.recall)

    @property
    def prevalence(self) -> float:
        """The one share of positive pairs for which accuracy, precision and recall can be of the same pairs.

        Of N pairs with share s, FN = s (1 - R) N and FP = s R (1 - P) / P N; accuracy is 1 less both.
        """
        errors = (1 - self.recall) + self.recall * (1 - self.precision) / self.precision
        return (1 - self.accuracy) / errors

    @property
    def always_no(self) -> float:
        """Accuracy of calling no pair similar, at that share."""
        return 1 - self.prevalence


ROWS = (
    Printed("SURF", 0.77, 0.56, 0.55, ("bow_surf",)),
    Printed("SIFT", 0.81, 0.59, 0.58, ("bow_rootsift", "bow_rootsift_matched")),
    Printed("CNN (table)", 0.99, 0.69, 0.69, ("cnn_frozen", "cnn_finetuned")),
    Printed("CNN (text)", 0.95, 0.94, 0.95, ("cnn_frozen", "cnn_finetuned")),
)

NOTES = (
    "The same CNN has accuracy .99, precision .69 and recall .69 in the table, and .95, .94 (there called accuracy) "
    "and .95 in the text.",
    "Accuracy, precision and recall of one set of pairs fix its share of positives. It is 26.1 % for SURF, 23.1 % for "
    "SIFT and 1.6 % for the CNN of the table (45.2 % for that of the text): no two rows are of one test set, so they "
    "rank nothing.",
    "At 1.6 % of positives, calling no pair similar has accuracy .984; the CNN's .99 is to be read beside that.",
    "F1 is defined, as a mean of accuracy and recall, and not reported; ours is that of precision and recall.",
    "The paper names no data set, no VGG layer, no pre-training data, no recipe of fine-tuning and no threshold; it "
    "claims efficiency and prints no time.",
)
"""What in the paper cannot be, or is missing."""
