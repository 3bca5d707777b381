"""What Khayyat et al. 2022 print in Tables 3 to 8, and what recomputing it says about it."""

from __future__ import annotations

from dataclasses import dataclass

SETTING = "64 manuscripts, 8,638 page images, 70/15/15 by image, 224 px, VGG19 from ImageNet weights, 10 epochs"


@dataclass(frozen=True)
class Printed:
    """A column of the paper's Tables 5 and 6.

    Attributes:
        accuracy: As printed.
        precision: As printed.
        recall: As printed.
        f1: As printed.
        average_precision: What the paper calls mAP: average precision over sampled pairs.
        counts: Smallest (TP, FP, FN, TN) that gives accuracy, precision and recall; None: none with up to 20,000
            positive pairs.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float
    average_precision: float
    counts: tuple[int, int, int, int] | None

    @property
    def f1_recomputed(self) -> float:
        """2 P R / (P + R) of the printed precision and recall."""
        return 2 * self.precision * self.recall / (self.precision + self.recall)


SCRATCH = Printed(0.6171875, 0.6190476, 0.6093750, 0.6141732, 0.5725446, (39, 24, 25, 40))
DISTANCES = {
    "l1": Printed(0.9508929, 0.9697674, 0.9308036, 0.9498861, 0.9372612, (417, 13, 31, 435)),
    "l2": Printed(0.9771875, 0.9790476, 0.9093750, 0.9141732, 0.9725446, None),
    "cosine": Printed(0.9937500, 0.9750000, 0.9187500, 0.9500000, 0.9937313, (1911, 49, 169, 32751)),
}

CLASSIFIER = {"accuracy": 0.9768, "macro_precision": 0.9836, "macro_recall": 0.9811, "macro_f1": 0.9817}
"""Table 3."""

N_PERFECT = 38
"""Rows of Table 4 that are 1 throughout."""
IMPERFECT: dict[int, tuple[float, float, float]] = {
    1: (1, 0.8824, 0.9375),
    2: (0.7692, 0.9524, 0.8511),
    4: (0.96, 0.8889, 0.9231),
    9: (1, 0.9583, 0.9787),
    12: (0.9545, 1, 0.9767),
    16: (1, 0.9231, 0.96),
    22: (0.9583, 1, 0.9787),
    24: (1, 0.9375, 0.9677),
    29: (0.9643, 1, 0.9818),
    30: (0.9444, 1, 0.9714),
    31: (1, 0.8947, 0.9444),
    32: (0.9565, 1, 0.9778),
    33: (0.9167, 0.8148, 0.8627),
    38: (1, 0.9286, 0.963),
    39: (0.96, 1, 0.9796),
    41: (1, 0.963, 0.9811),
    44: (1, 0.9167, 0.9565),
    45: (0.9091, 1, 0.9524),
    49: (0.9615, 1, 0.9804),
    51: (1, 0.9474, 0.973),
    52: (0.8261, 0.95, 0.8837),
    55: (0.9167, 1, 0.9565),
    60: (1, 0.9565, 0.9778),
    61: (1, 0.9375, 0.9677),
    62: (1, 0.9375, 0.9677),
    64: (0.95, 1, 0.9744),
}
"""The other rows of Table 4: manuscript -> precision, recall, F."""

TIMES = {"training, CPU": "11:53 h", "training, GPU (RTX 2080)": "6 h",
         "one query, top 10, CPU": "57 s", "one query, top 10, GPU": "21.406 s"}  # fmt: skip

OTHERS = (
    ("Mehmood", "99.05", "accuracy"),
    ("Tian", "60", "AUC"),
    ("An-Bing", "97", "accuracy"),
    ("Baraldi", "64", "accuracy"),
    ("Li", "73.3", "AUC"),
    ("Chen", "97.89", "accuracy"),
    ("Chaudhuri", "69.89 / 81.79", "mAP"),
    ("Kande", "68", "true positives"),
    ("Radenovic", "91.9", "mAP"),
    ("Zhou", "60 / 39", "precision"),
    ("Koch", "93.42", "accuracy"),
    ("Ong", "81.5 / 82.5", "mAP"),
    ("Qiu", "87.7", "precision"),
    ("Wiggers", "94.4", "mAP"),
    ("Khayyat et al.", "99.37", "average precision over pairs, printed as mAP"),
)
"""Table 8: per cent, each on another data set."""

NOTES = {
    3: ("The means agree with the rows of Table 4 (precision .98355, recall .98108, mean of the rows' F .98165): F is "
        "the mean over classes, not the harmonic mean of the two means, which would be .9823.",
        "Accuracy .9768 fits 30 errors in 1,291 to 1,295 test images; nothing here contradicts itself."),
    4: ("Every row's F is 2PR/(P+R) to four digits, and the lowest is manuscript 2's (.8511).",
        "With the smallest supports that give the rows, 23 images are called a class falsely and 24 are missed. The "
        "two sums must be equal when each image gets one class, so some class has a multiple of that support."),
    5: ("The VGG19 column cannot be: each value is the scratch column's plus .36, .36, .30, .30 and .40 exactly, no "
        "confusion matrix with up to 20,000 positives gives it, and its F (.9142) is not that of its own precision and "
        "recall (.9429).",
        "The scratch column is 128 pairs (64 and 64): its accuracy has a 95 % interval of about .084 on either side.",
        "Table 1's rows add up to 875,649 parameters (the text's 857,649 has two digits exchanged), and its shapes "
        "need an input of 150 x 100; the 224 x 224 of its first rows would give 2,776,193.",
        "The head is not symmetric (x^2 - y^2 changes sign when the images change places); ours averages both orders."),
    6: ("Cosine: the printed F (.9500) is not that of its precision and recall (.9460). The paper's Fig. 2 gives "
        "410 true positives, for which FP (10.5) and FN (36.3) would not be whole numbers; the abstract has F = .99.",
        "The columns are of different pair lists (50 %, about 21 % and 6 % positive pairs), so they rank nothing. By F "
        "recomputed L1 (.9499) is before cosine (.9460) and L2 (.9429); cosine leads by accuracy and average "
        "precision, which the share of positives moves.",
        "The distance is one of 2,049 inputs of the head; the squares and differences beside it stay when it changes."),
    8: ("Accuracies, AUCs, precisions and mAPs of different data sets: no row can be compared with another.",
        "99.37 is average precision over sampled pairs and stands beside other papers' retrieval mAP; the text also "
        "calls it a rate of true positives."),
}  # fmt: skip
"""Table -> what holds and what cannot be."""
