"""``params.yaml`` as frozen, strict sections: one class a stage, a docstring a field."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Distance = Literal["l1", "l2", "cosine"]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A section of ``params.yaml``: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, protected_namespaces=()
    )


class SampleParams(Section):
    """The synthetic manuscripts that ``make repro`` writes when there are no other images."""

    seed: int = 0
    """Seed of everything drawn: the same seed gives the same pixels."""
    manuscripts: int = Field(default=24, ge=2)
    """Number of manuscripts (classes)."""
    pages_min: Count = 20
    """Fewest pages of a manuscript."""
    pages_max: Count = 60
    """Most pages of a manuscript."""

    @model_validator(mode="after")
    def _pages_in_order(self) -> Self:
        if self.pages_min > self.pages_max:
            raise ValueError(f"pages_min = {self.pages_min} is above pages_max = {self.pages_max}")
        return self


class SplitParams(Section):
    """Which image belongs to train, validation or test."""

    seed: int = 0
    """Seed of the draw."""
    protocol: Literal["random", "blocks"] = "blocks"
    """``random``: stratified by class (the papers'); ``blocks``: a group never crosses splits."""
    fractions: Annotated[tuple[Fraction, Fraction, Fraction], Field(strict=False)] = (0.70, 0.15, 0.15)
    """Shares of train, validation and test."""
    group_pattern: str | None = None
    """Regular expression searched in the path below the class folder; its first group (or whole match) names the
    page, folio or quire. Null: every image is a group of its own."""
    groups_file: str | None = None
    """CSV with columns ``path,group`` instead of a pattern."""
    near_duplicate_bits: int = Field(default=4, ge=0, le=16)
    """Two images of one class whose 64-bit perceptual hashes differ in at most this many bits travel together."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"fractions = {list(self.fractions)} add up to {sum(self.fractions):g}, not 1")
        if self.group_pattern is not None and self.groups_file is not None:
            raise ValueError("group_pattern and groups_file are both set: choose one")
        try:
            re.compile(self.group_pattern or "")
        except re.error as error:
            raise ValueError(f"group_pattern = {self.group_pattern!r} is no regular expression: {error}") from None
        return self


class StoreParams(Section):
    """How an image becomes a row of the store."""

    size: int = Field(default=224, ge=16, le=1024)
    """Side of the square rows, in pixels."""
    fit: Literal["pad", "crop", "stretch"] = "pad"
    """What happens to an image that is not square."""
    channels: Literal[1, 3] = 3
    """3 for colour, 1 for grey."""
    tiles: Count = 6
    """A page whose longer side is over ``tile_above`` x ``size`` is cut into this many tiles; 1 shrinks it whole."""
    tile_above: float = Field(default=3.0, ge=1)
    """See ``tiles``."""


class AugmentParams(Section):
    """The store: decoded images and, for train, balanced augmented copies."""

    seed: int = 0
    """Seed of the copies."""
    store: StoreParams = StoreParams()
    """Size and fit of the rows."""
    policy: Literal["pages", "characters", "photos", "none"] = "pages"
    """Row of the policy table: what a copy may change."""
    per_class: Count | None = None
    """Train rows a class is filled up to with copies; null: the size of the largest class."""
    max_copies: int = Field(default=3, ge=0)
    """At most this many copies of one image."""
    workers: Count | None = None
    """Processes that decode and augment; null: one a core."""


class TensorAugmentation(Section):
    """Augmentation of a batch on the device, new at every step (never in validation or test)."""

    crop: int | None = Field(default=128, ge=16)
    """Side of the random crop in pixels; null: the whole row."""
    scale: Annotated[tuple[float, float], Field(strict=False)] = (1.0, 1.0)
    """Range of the zoom drawn before the crop."""
    colour_jitter: float = Field(default=0.4, ge=0, le=1)
    """Strength of brightness, contrast, saturation and channel changes."""
    grey: Share = 0.3
    """Share of images made grey: paper colour is the shortcut of manuscript data."""


class Optimisation(Section):
    """What the three training stages share."""

    seed: int = 0
    """Seed of initial weights, batches and tensor augmentation."""
    trunk: str = "tf_efficientnet_lite0"
    """Any timm model with ``forward_features``, ours included."""
    weights: str = "imagenet"
    """``imagenet``, ``none`` or the path of a .safetensors/.pth file."""
    epochs: Count = 12
    """Passes over the train rows (classify) or over ``steps_per_epoch`` batches (siamese, scratch)."""
    lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate of the new layers."""
    trunk_lr: float = Field(default=3e-4, ge=0)
    """Peak learning rate of the trunk; 0 freezes it."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """AdamW's decoupled weight decay."""
    warmup: Share = 0.1
    """Share of all steps over which the rate rises before its cosine fall."""
    patience: Count = 5
    """Epochs without a gain on validation before training stops."""
    augmentation: TensorAugmentation = TensorAugmentation()
    """Augmentation of each batch on the device."""


class ClassifyParams(Optimisation):
    """The classifier, whose trunk the Siamese models start from."""

    batch_size: int = Field(default=32, ge=2)
    """Images a step and device."""
    pooling: Literal["avg", "max", "avgmax"] = "avg"
    """Pooling of the trunk's feature map."""
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    """Share of the target spread over all classes."""


class PairTraining(Optimisation):
    """What ``siamese`` and ``scratch`` share: the head, the loss and the batches of pairs."""

    head: Literal["distance", "weighted", "fusion"] = "distance"
    """``distance``: scale and offset; ``weighted``: Khayyat Eq. 2; ``fusion``: Khayyat Table 2."""
    loss: Literal["supcon", "bce", "contrastive", "multi_similarity"] = "supcon"
    """Loss over all pairs of a batch."""
    pairs: Literal["all", "episodes"] = "all"
    """``all`` pairs of a P x K batch, or the paper's one-shot ``episodes`` (systems.md 1.5)."""
    temperature: float = Field(default=0.1, gt=0)
    """SupCon's temperature."""
    margin: float = Field(default=0.5, gt=0)
    """Margin of the contrastive loss, in units of the head's distance."""
    class_weight: float = Field(default=1.0, ge=0)
    """Weight of a cross-entropy of a class layer on the same embedding; 0 leaves the layer out."""
    classes_per_batch: int = Field(default=16, ge=2)
    """P: classes in a batch (all of them, where there are fewer)."""
    images_per_class: int = Field(default=4, ge=2)
    """K: different images of each class."""
    steps_per_epoch: Count | None = None
    """Batches an epoch; null: train rows / (P K), rounded up."""
    pooling: Literal["avg", "max", "avgmax", "flatten"] = "avg"
    """Pooling of the trunk's feature map."""
    embedding: int | None = Field(default=256, ge=2)
    """Width of the projection; null: the pooled features themselves."""
    normalise: bool = True
    """Put embeddings on the unit sphere."""
    validate_every: Count = 1
    """Epochs from one validation to the next; the last epoch is always validated."""
    validation_gallery: int = Field(default=400, ge=2)
    """Most train images, balanced over classes, that a validation during training ranks the queries against."""

    @model_validator(mode="after")
    def _head_fits_loss(self) -> Self:
        if self.head == "fusion" and self.loss in ("contrastive", "multi_similarity"):
            raise ValueError(f"head = fusion has no distance for loss = {self.loss}: use loss bce or supcon")
        if self.pairs == "episodes" and self.loss not in ("bce", "contrastive"):
            raise ValueError(
                f"pairs = episodes gives single pairs, loss = {self.loss} needs all: use bce or contrastive"
            )
        return self


class SiameseParams(PairTraining):
    """The Siamese models, one for each distance, started from the classifier's trunk."""

    start: Literal["classifier", "weights"] = "classifier"
    """Trunk to start from: the classifier's, or ``weights`` anew."""


class ScratchParams(PairTraining):
    """The paper's small Siamese net from random weights (Khayyat Table 1)."""

    trunk: str = "khayyat_scratch"
    weights: str = "none"
    head: Literal["distance", "weighted", "fusion"] = "weighted"
    loss: Literal["supcon", "bce", "contrastive", "multi_similarity"] = "bce"
    distance: Distance = "l1"
    """The one distance this net is trained with."""
    size: Annotated[tuple[Count, Count], Field(strict=False)] = (150, 100)
    """Height and width the rows are resized to, in pixels (150 x 100 is the only size that fits Table 1)."""
    pooling: Literal["avg", "max", "avgmax", "flatten"] = "flatten"
    normalise: bool = False
    class_weight: float = Field(default=0.0, ge=0)


class TrainParams(Section):
    """What becomes of the champion before the one pass over test."""

    refit: bool = False
    """Train it once more, on train and validation, with everything fixed before and thresholds kept."""


class CompareParams(Section):
    """The comparison of distances on validation, which picks the champion."""

    seed: int = 0
    """Seed of the pair lists and of the bootstrap."""
    folds: int = Field(default=5, ge=2)
    """Folds over query groups for cross-fitted thresholds."""
    threshold: Literal["f1", "accuracy"] = "f1"
    """What the threshold maximises on validation."""
    min_positives: Count = 10
    """A class with fewer positive pairs keeps all of them."""
    positives_per_query: Count = 10
    """Positive pairs drawn for each query, and as many negative ones."""
    bootstrap: int = Field(default=1000, ge=100)
    """Resamples behind every interval."""
    confidence: Fraction = 0.95
    """Coverage of the intervals."""


class EvaluateParams(Section):
    """The one pass over test."""

    seed: int = 0
    """Seed of the pair list and of the bootstrap."""
    bootstrap: int = Field(default=1000, ge=100)
    """Resamples behind every interval."""
    confidence: Fraction = 0.95
    """Coverage of the intervals."""
    positives_per_query: Count = 10
    """Positive pairs drawn for each query, and as many negative ones."""
    min_positives: Count = 10
    """A class with fewer positive pairs keeps all of them."""
    sheet_queries: Count = 8
    """Queries shown on the contact sheet."""


class TrainerParams(Section):
    """Handed to Lightning."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """Kind of device."""
    devices: int | Literal["auto"] = 1
    """Number of devices (processes, on CPU)."""
    num_nodes: Count = 1
    """Number of machines."""
    strategy: str = "auto"
    """Lightning's strategy: ``auto``, ``ddp``, ..."""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """``auto``: bf16 mixed where the GPU has it, 32 elsewhere."""
    deterministic: bool = True
    """Deterministic algorithms: the same seed gives the same weights."""

    @model_validator(mode="after")
    def _enough_devices(self) -> Self:
        if isinstance(self.devices, int) and self.devices < 1:
            raise ValueError(f"devices = {self.devices}: must be at least 1, or auto")
        return self


class TrackingParams(Section):
    """MLflow."""

    experiment: str = "twinfolio"
    """Name of the experiment."""
    register_as: str = "twinfolio"
    """Name in the model registry."""
    system_metrics: bool = True
    """Sample processor, memory and GPU while a stage runs."""


class Params(Section):
    """The whole of ``params.yaml``; a section left out has its defaults."""

    sample: SampleParams = SampleParams()
    split: SplitParams = SplitParams()
    augment: AugmentParams = AugmentParams()
    classify: ClassifyParams = ClassifyParams()
    siamese: SiameseParams = SiameseParams()
    scratch: ScratchParams = ScratchParams()
    train: TrainParams = TrainParams()
    compare: CompareParams = CompareParams()
    evaluate: EvaluateParams = EvaluateParams()
    trainer: TrainerParams = TrainerParams()
    tracking: TrackingParams = TrackingParams()

    @model_validator(mode="after")
    def _crops_fit_the_store(self) -> Self:
        for name in ("classify", "siamese", "scratch"):
            crop = getattr(self, name).augmentation.crop
            if crop is not None and crop > self.augment.store.size:
                raise ValueError(
                    f"{name}.augmentation.crop = {crop} is above augment.store.size = {self.augment.store.size}"
                )
        return self
