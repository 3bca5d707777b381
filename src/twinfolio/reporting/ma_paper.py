"""What Ma et al. print (systems.md 5.4), and what others reach on the official runs."""

from __future__ import annotations

from dataclasses import dataclass

TRIALS = 800
"""20 alphabets of 40 trials: every rate of Table 5 but one is a multiple of 1/800."""
MODELS_4 = ("Siamese", "ResNext101", "SiRCNN")
TABLE_4 = {
    "Old_Church_Slavonic_(Cyrillic)": (0.8, 0.8725, 0.9),
    "Oriya": (0.5, 0.675, 0.475),
    "Aurek-Besh": (0.8, 0.85, 0.875),
    "Mongolian": (0.675, 0.75, 0.825),
    "Syriac_(Serto)": (0.55, 0.725, 0.575),
    "Tibetan": (0.675, 0.8, 0.9),
    "Gurmukhi": (0.6, 0.675, 0.725),
    "Atemayar_Qelisayer": (0.55, 0.65, 0.75),
    "Glagolitic": (0.55, 0.875, 0.9),
    "Keble": (0.825, 0.825, 0.9),
    "Angelic": (0.6, 0.675, 0.75),
    "Avesta": (0.525, 0.725, 0.675),
    "Sylheti": (0.4, 0.675, 0.575),
    "Malayalam": (0.625, 0.725, 0.725),
    "Atlantean": (0.525, 0.725, 0.825),
    "Tengwar": (0.425, 0.725, 0.75),
    "Manipuri": (0.8, 0.925, 0.8),
    "ULOG": (0.6, 0.4, 0.675),
    "Ge_ez": (0.625, 0.875, 0.75),
    "Kannada": (0.525, 0.725, 0.675),
}
"""Alphabet -> accuracy of ``MODELS_4``. The .8725 is a misprint of .875: no 40 trials give it."""


@dataclass(frozen=True)
class Row:
    """A row of Table 5."""

    name: str
    accuracy: float
    iteration: int
    validation: float


TABLE_5 = {
    "koch": Row("Siamese CNN (Koch)", 0.60875, 83_000, 0.8875),
    "vgg16": Row("VGG16", 0.6275, 47_000, 0.870833),
    "vgg19": Row("VGG19", 0.65125, 23_000, 0.925),
    "resnet18": Row("ResNet18", 0.6625, 25_000, 0.875),
    "resnet50": Row("ResNet50", 0.6995, 59_000, 0.904166),
    "efficientnet_b2": Row("EfficientNet-B2", 0.72125, 66_000, 0.8875),
    "resnext101": Row("ResNext101", 0.74375, 47_000, 0.7666),
    "sircnn": Row("SiRCNN", 0.75125, 38_000, 0.925),
}
"""Trunk -> row. ResNet50's .6995 is no multiple of 1/800."""
OTHERS = {"Koch et al. 2015": 0.92, "people": 0.955, "BPL": 0.967, "ARC": 0.985}
"""Accuracy on the official 20 runs."""
