"""Sections ``classify``, ``siamese``, ``scratch`` and ``trainer``: how models are trained, and on what."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from twinfolio.params.section import Count, Distance, Factor, Fraction, Section, Share


class WarpParams(Section):
    """Geometric augmentation of a batch: each part is drawn for each image on its own."""

    rotation: float = Field(default=0.0, ge=0, le=180)
    """Most degrees, either way."""
    shear: float = Field(default=0.0, ge=0, le=1)
    """Most radians of slant, either way, along each axis."""
    shift: float = Field(default=0.0, ge=0, le=1)
    """Most of the image's side, either way, along each axis."""
    scale: Annotated[tuple[Factor, Factor], Field(strict=False)] = (1.0, 1.0)
    """Range of the zoom, along each axis on its own."""
    bend: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation, in sides, of the displacements of a 4 x 4 grid of knots."""
    share: Share = 1.0
    """Probability of each of the five."""


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
    warp: WarpParams = WarpParams()
    """Rotation, slant, shift, zoom and bends."""


class Optimisation(Section):
    """What the three training stages share."""

    seed: int = 0
    """Seed of initial weights, batches and tensor augmentation."""
    trunk: str = "tf_efficientnet_lite0"
    """Any timm model with ``forward_features``, ours included."""
    trunk_options: dict[str, bool | int | float | str] = Field(default={})
    """Further arguments of ``timm.create_model`` (``{depth: 3, kernels: 16}`` of ``lu_conv``)."""
    weights: str = "imagenet"
    """``imagenet``, ``none`` or the path of a .safetensors/.pth file."""
    epochs: Count | None = None
    """Passes over the train rows (classify) or over ``steps_per_epoch`` batches (siamese, scratch); rates fall to 0.

    Null: training goes on at constant rates, with averaged weights, until validation stops improving or
    ``train.minutes`` is spent; a round of steps from one validation to the next takes the place of an epoch."""
    lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate of the new layers."""
    trunk_lr: float = Field(default=3e-4, ge=0)
    """Peak learning rate of the trunk; 0 freezes it."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """AdamW's decoupled weight decay."""
    schedule: Literal["adamw", "adam", "koch"] = "adamw"
    """``adamw`` with warm-up and cosine fall; ``adam`` at constant rates without decay (Jimenez & Szabo); or the SGD of
    Koch et al. and Ma et al., which ``lr`` alone describes: x .99 every 500 steps, momentum .5 + .01 a step up to .9,
    penalty .01 on kernels of convolutions."""
    warmup: Share = 0.1
    """Share of all steps over which the rate rises before its cosine fall; with ``epochs: null`` it is 25 steps."""
    patience: Count = 5
    """Epochs (or rounds) without a gain on validation before training stops."""
    augmentation: TensorAugmentation = TensorAugmentation()
    """Augmentation of each batch on the device."""


class ClassifyParams(Optimisation):
    """The classifier, whose trunk the Siamese models start from."""

    batch_size: int = Field(default=64, ge=2)
    """Images a step and device."""
    images_per_class: int = Field(default=4, ge=2)
    """Different images of a class in a batch, where there is a loss over pairs."""
    pooling: Literal["avg", "max", "avgmax", "flatten"] = "avg"
    """Pooling of the trunk's feature map."""
    normalise: bool = True
    """Put features on the unit sphere before the class layer, which then begins at the classes' means."""
    pair_weight: float = Field(default=1.0, ge=0)
    """Weight of a supervised contrastive loss over the pairs of a batch, beside the cross-entropy; 0: none, and batches
    are drawn image by image."""
    temperature: float = Field(default=0.1, gt=0)
    """SupCon's temperature."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread over all classes."""

    @model_validator(mode="after")
    def _pairs_on_the_sphere(self) -> Self:
        if self.pair_weight > 0 and not self.normalise:
            raise ValueError(
                f"pair_weight = {self.pair_weight:g} compares unit features: set normalise, or pair_weight: 0"
            )
        return self


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
    ema: Fraction | None = None
    """Decay a step of the moving average of the weights, which is validated and kept; null: the weights themselves."""
    within: Share | None = None
    """Share of a batch's classes that one family gives (what stands before the ``/`` of a class's name: an alphabet);
    null: families do not matter. ``episodes`` take whole batches from one family (1)."""
    classes_per_batch: int = Field(default=16, ge=2)
    """P: classes in a batch of P x K images; more, where some have fewer than K."""
    images_per_class: int = Field(default=4, ge=2)
    """K: different images of each class; more, where there are fewer than P classes."""
    steps_per_epoch: Count | None = None
    """Batches an epoch or round; null: train rows / (P K), rounded up; a round also has enough of them that validation
    takes a quarter of the time or less."""
    pooling: Literal["avg", "max", "avgmax", "flatten"] = "avg"
    """Pooling of the trunk's feature map."""
    embedding: int | None = Field(default=256, ge=2)
    """Width of the projection; null: the pooled features themselves."""
    hidden: Annotated[tuple[Count, ...], Field(strict=False)] = ()
    """Widths of ReLU layers between pooling and projection."""
    activation: Literal["sigmoid"] | None = None
    """After the projection."""
    normalise: bool = True
    """Put embeddings on the unit sphere."""
    validate_every: Count = 1
    """Epochs from one validation to the next; the last epoch is always validated. A round always is."""
    validation: Literal["retrieval", "oneshot"] = "retrieval"
    """Validated by retrieval of train images of the same class, or by one-shot trials among validation images, whose
    classes training does not see."""
    validation_trials: Count = 400
    """One-shot trials a family, in validation."""
    validation_ways: int = Field(default=20, ge=2)
    """Classes of such a trial."""
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
        if self.pairs == "episodes" and self.within not in (None, 1):
            raise ValueError(
                f"within = {self.within}: pairs = episodes takes whole batches from one family, 1, or null"
            )
        return self


class SiameseParams(PairTraining):
    """The Siamese models, one for each distance, started from the classifier's trunk."""

    start: Literal["classifier", "weights"] = "classifier"
    """Start from the classifier's trunk and classes, or from ``weights`` anew."""


class ScratchParams(PairTraining):
    """The paper's small Siamese net from random weights (Khayyat Table 1)."""

    trunk: str = "khayyat_scratch"
    weights: str = "none"
    epochs: Count | None = 12
    head: Literal["distance", "weighted", "fusion"] = "weighted"
    loss: Literal["supcon", "bce", "contrastive", "multi_similarity"] = "bce"
    distance: Distance = "l1"
    """The one distance this net is trained with."""
    size: Annotated[tuple[Count, Count], Field(strict=False)] = (150, 100)
    """Height and width the rows are resized to, in pixels (150 x 100 is the only size that fits Table 1)."""
    pooling: Literal["avg", "max", "avgmax", "flatten"] = "flatten"
    activation: Literal["sigmoid"] | None = "sigmoid"
    normalise: bool = False
    class_weight: float = Field(default=0.0, ge=0)


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
    compile: bool = False
    """``torch.compile`` the embedder: half a minute at the start; on a processor it was slower than without."""

    @model_validator(mode="after")
    def _enough_devices(self) -> Self:
        if isinstance(self.devices, int) and self.devices < 1:
            raise ValueError(f"devices = {self.devices}: must be at least 1, or auto")
        return self
