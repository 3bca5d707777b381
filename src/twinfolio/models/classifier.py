"""The classifier as a LightningModule: cross-entropy and a contrastive loss, validated by macro F1."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from twinfolio.evaluation.classification import classification_report
from twinfolio.evaluation.retrieval_protocol import average_rows
from twinfolio.models.embedder import ClassLayer, Embedder
from twinfolio.models.learner import Learner
from twinfolio.models.losses import pair_masks, supcon
from twinfolio.models.optimisation import Schedule

MONITOR = "val/classification/macro_f1"
"""What early stopping and the best checkpoint watch."""


class ClassifierModule(Learner):
    """Trunk, pooling and a class layer, trained by cross-entropy and, on unit features, a supervised contrastive loss.

    The second makes the features themselves comparable: what a Siamese model starts from, and a system of its own.

    Args:
        embedder: Images to embeddings.
        class_layer: Embeddings to class logits.
        class_weights: (C,) weight of each class in the loss (Khayyat et al.: N / (C n_c)).
        label_smoothing: Share of the target spread over all classes.
        pair_weight: Weight of the contrastive loss (SupCon on cosines) over all pairs of a batch; 0: none.
        temperature: SupCon's.
        schedule: Optimiser settings.
        seed: Seed of what the layers draw.
    """

    class_weights: Tensor

    def __init__(
        self,
        embedder: Embedder,
        class_layer: ClassLayer,
        *,
        class_weights: Tensor,
        label_smoothing: float,
        pair_weight: float = 0.0,
        temperature: float = 0.1,
        schedule: Schedule,
        seed: int,
    ) -> None:
        super().__init__(schedule, seed)
        self.embedder, self.class_layer = embedder, class_layer
        self.label_smoothing, self.pair_weight, self.temperature = label_smoothing, pair_weight, temperature
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.freeze_if_asked()
        self._seen: list[tuple[Tensor, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to class logits (N, classes)."""
        logits: Tensor = self.class_layer(self.embedder(images))
        return logits

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Weighted cross-entropy of a batch, and the contrastive loss of its features."""
        embeddings, labels = self.embedder(batch["images"]).float(), batch["labels"]
        logits = self.class_layer(embeddings).float()
        loss = F.cross_entropy(logits, labels, weight=self.class_weights, label_smoothing=self.label_smoothing)
        losses = {"loss": loss}
        if self.pair_weight > 0:
            pair_loss = self._pair_loss(*self.gather_batch(embeddings, labels))
            loss = loss + self.pair_weight * pair_loss
            losses = {"loss": loss, "class_loss": losses["loss"], "pair_loss": pair_loss}
        self.log_step(losses, len(logits))
        return loss

    def _pair_loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(embeddings.device.type, enabled=False):
            return supcon(embeddings @ embeddings.T, pair_masks(labels), self.temperature)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._seen.clear()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Keep the probabilities of a batch."""
        probabilities = self(batch["images"]).float().softmax(1)
        self._seen.append((batch["rows"], probabilities, batch["labels"], batch["sources"]))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics over the whole validation set, each row counted once whatever the number of devices."""
        rows, *columns = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        self._seen.clear()
        probabilities, labels = per_image(*self.gather_rows(rows, *columns))
        report = classification_report(labels, probabilities.argmax(1), probabilities.shape[1]).metrics()
        self.log_dict({f"val/classification/{name}": report[name] for name in ("accuracy", "macro_f1")})


def per_image(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], sources: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities averaged over the tiles of an image.

    Args:
        probabilities: (N, C) of each row.
        labels: (N,) class of each row.
        sources: (N,) number of each row's image, 0 to M - 1.

    Returns:
        Probabilities (M, C) and labels (M,) of the images.
    """
    _, first = np.unique(sources, return_index=True)
    return average_rows(probabilities, sources), labels[first]
