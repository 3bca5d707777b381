"""What the stages of Ma et al.'s study share: its models as params, and where their images and trials lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinfolio.params import Params
from twinfolio.params.file import parse_params, patched

if TYPE_CHECKING:
    from twinfolio.assessment.oneshot import Views

STORES = {"ours": Path("outputs/omniglot/store"), "paper": Path("outputs/omniglot/store_105")}
RUNS, TRIALS, ABOUT = (Path("outputs/omniglot", name) for name in ("runs.npz", "trials", "about.json"))
STEPS = 1_000
"""Iterations from one validation of the paper's recipe to the next, an epoch; fewer where the cap is lower."""
_POOLED = {"siamese.trunk_options": {}, "siamese.pooling": "avg"}
TRUNKS: dict[str, dict[str, Any]] = {
    "small": {},
    "sircnn": {"siamese.trunk": "sircnn", **_POOLED},
    "koch": {"siamese.trunk": "koch_conv", "siamese.trunk_options": {}, "siamese.pooling": "flatten"},
    "vgg16": {"siamese.trunk": "vgg16", **_POOLED},
    "vgg19": {"siamese.trunk": "vgg19", **_POOLED},
    "resnet18": {"siamese.trunk": "resnet18", **_POOLED},
    "resnet50": {"siamese.trunk": "resnet50", **_POOLED},
    "efficientnet_b2": {"siamese.trunk": "efficientnet_b2", **_POOLED},
    "resnext101": {"siamese.trunk": "resnext101_32x4d", **_POOLED},
}
"""The trunk of ``siamese``, and those of the paper's Table 5."""
PAPER: dict[str, Any] = {
    "siamese.schedule": "koch",
    "siamese.lr": 0.01,
    "siamese.trunk_lr": 0.01,
    "siamese.embedding": None,
    "siamese.normalise": False,
    "siamese.head": "weighted",
    "siamese.loss": "bce",
    "siamese.pairs": "episodes",
    "siamese.within": 1.0,
    "siamese.class_weight": 0.0,
    "siamese.classes_per_batch": 32,
    "siamese.validate_every": 1,
    "siamese.validation_trials": 40,
    "siamese.augmentation.crop": None,
    "siamese.augmentation.colour_jitter": 0.0,
    "siamese.augmentation.grey": 0.0,
    "siamese.augmentation.warp": {
        "rotation": 15.0, "shear": 0.3, "shift": 5 / 105, "scale": [0.8, 2.0], "bend": 0.0, "share": 0.5,
    },
}  # fmt: skip
"""systems.md 5.3; with 40 trials an alphabet to validate on, as the paper's rates of 1/240 say."""
_KOCHS_TWIN = {"siamese.embedding": 4096, "siamese.activation": "sigmoid"}


def views_of(training: Training, params: Params) -> Views | None:
    """How images of the evaluation side are looked at; the paper's recipe looks once."""
    from twinfolio.assessment.oneshot import Views
    from twinfolio.data.batch_warp import Warp

    if training.recipe == "paper":
        return None
    return Views(params.ma_oneshot.views, Warp(**params.siamese.augmentation.warp.model_dump()))


@dataclass(frozen=True)
class Training:
    """One model to train: ``small-ours-0``."""

    trunk: str
    recipe: str
    seed: int

    @classmethod
    def named(cls, name: str) -> Training:
        """From its name in ``ma_oneshot.trainings``."""
        trunk, recipe, seed = name.rsplit("-", 2)
        return cls(trunk, recipe, int(seed))

    @property
    def model(self) -> str:
        """Its name without the seed."""
        return f"{self.trunk}-{self.recipe}"

    @property
    def distance(self) -> str:
        """The papers' twins compare by L1."""
        return "cosine" if self.recipe == "ours" else "l1"

    @property
    def size(self) -> tuple[int, int] | None:
        """Size the rows are resized to: Koch's convolutions leave nothing of small images."""
        return (105, 105) if self.trunk == "koch" else None

    @property
    def store(self) -> Path:
        """Where its images lie."""
        return STORES[self.recipe]

    def params(self, params: Params) -> Params:
        """The params it is trained with."""
        values = {"siamese.seed": self.seed, "siamese.start": "weights", "siamese.weights": "none"} | TRUNKS[self.trunk]
        values |= {"siamese.validation": "oneshot", "siamese.validation_ways": params.omniglot.ways}
        if self.recipe == "paper":
            cap, patience = params.ma_oneshot.paper_iterations, params.ma_oneshot.paper_patience
            steps = min(STEPS, cap)
            values |= PAPER | {"siamese.steps_per_epoch": steps}
            values |= {"siamese.epochs": -(-cap // steps), "siamese.patience": -(-patience // steps)}
            values |= _KOCHS_TWIN if self.trunk == "koch" else {}
        return parse_params(patched(params.model_dump(mode="json"), values), source="studies/ma_oneshot")
