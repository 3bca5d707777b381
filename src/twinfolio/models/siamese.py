"""The Siamese model as a LightningModule: a loss over pairs, validated by retrieval or by one-shot trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from twinfolio.models.embedder import ClassLayer, Embedder
from twinfolio.models.heads import Head
from twinfolio.models.learner import EmbeddingLearner
from twinfolio.models.losses import calibration_loss, pair_loss, paired_calibration_loss, paired_loss
from twinfolio.models.optimisation import Schedule
from twinfolio.models.tasks import ValidationTask


@dataclass(frozen=True)
class PairObjective:
    """What a Siamese model minimises.

    Args:
        loss: ``supcon``, ``bce``, ``contrastive`` or ``multi_similarity``.
        pairs: ``all`` pairs of a batch, or ``episodes``: rows are (anchors, positives, negatives).
        temperature: SupCon's temperature.
        margin: Margin of the contrastive loss, in units of the head's distance.
        class_weight: Weight of the class layer's cross-entropy.
    """

    loss: str = "supcon"
    pairs: Literal["all", "episodes"] = "all"
    temperature: float = 0.1
    margin: float = 0.5
    class_weight: float = 1.0


class SiameseModule(EmbeddingLearner):
    """Embedder and head, trained on the pairs of a batch; a class layer on the same embedding steadies it.

    Under several devices with ``pairs = all`` the embeddings are gathered with their gradients, so that pairs across
    devices count too and the step is that of one large batch; episodes stay on their device.

    Args:
        embedder: Images to embeddings.
        head: Pairs of embeddings to logits.
        class_layer: Embeddings to class logits, or None.
        objective: What is minimised.
        class_weights: (C,) weights of the classes in the class layer's loss and of the anchors of episodes.
        task: What validates it.
        schedule: Optimiser settings.
        seed: Seed of what the layers draw.
    """

    class_weights: Tensor
    head: Head

    def __init__(
        self,
        embedder: Embedder,
        head: Head,
        class_layer: ClassLayer | None,
        *,
        objective: PairObjective,
        class_weights: Tensor,
        task: ValidationTask,
        schedule: Schedule,
        seed: int,
    ) -> None:
        super().__init__(task, schedule, seed)
        self.embedder, self.head, self.class_layer = embedder, head, class_layer
        self.objective = objective
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.freeze_if_asked()

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to embeddings (N, D)."""
        embeddings: Tensor = self.embedder(images)
        return embeddings

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """The loss over pairs, what calibrates the head, and the class layer's cross-entropy."""
        embeddings, labels = self(batch["images"]).float(), batch["labels"]
        losses = self._pair_losses(embeddings, labels)
        loss = losses["pair_loss"] + losses.get("calibration_loss", 0.0)
        if self.class_layer is not None:
            losses["class_loss"] = F.cross_entropy(self.class_layer(embeddings).float(), labels, self.class_weights)
            loss = loss + self.objective.class_weight * losses["class_loss"]
        self.log_step({"loss": loss, **losses}, len(embeddings))
        return {"loss": loss, **{name: value.detach() for name, value in losses.items()}}

    def _pair_losses(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        objective = self.objective
        if objective.pairs == "episodes":
            return self._episode_losses(embeddings, labels)
        embeddings, labels = self.gather_batch(embeddings, labels)
        ranking = pair_loss(
            objective.loss,
            self.head,
            embeddings,
            labels,
            temperature=objective.temperature,
            margin=objective.margin,
        )
        losses = {"pair_loss": ranking}
        if objective.loss != "bce":
            losses["calibration_loss"] = calibration_loss(self.head, embeddings, labels)
        return losses

    def _episode_losses(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Each anchor with its positive and with its negative, weighted by the anchor's class (systems.md 1.5)."""
        anchors, positives, negatives = embeddings.chunk(3)
        same = torch.ones(len(anchors), device=embeddings.device)
        weights = self.class_weights[labels[: len(anchors)]]
        pairs = (
            torch.cat([anchors, anchors]),
            torch.cat([positives, negatives]),
            torch.cat([same, torch.zeros_like(same)]),
            torch.cat([weights, weights]),
        )
        losses = {"pair_loss": paired_loss(self.objective.loss, self.head, *pairs, margin=self.objective.margin)}
        if self.objective.loss != "bce":
            losses["calibration_loss"] = paired_calibration_loss(self.head, *pairs)
        return losses
