"""The classifier as a LightningModule: weighted cross-entropy, validated by macro F1 over the whole set."""

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
from twinfolio.models.optimisation import Schedule

MONITOR = "val/classification/macro_f1"
"""What early stopping and the best checkpoint watch."""


class ClassifierModule(Learner):
    """Trunk, pooling and a class layer, trained by cross-entropy.

    Args:
        embedder: Images to embeddings.
        class_layer: Embeddings to class logits.
        class_weights: (C,) weight of each class in the loss (Khayyat et al.: N / (C n_c)).
        label_smoothing: Share of the target spread over all classes.
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
        schedule: Schedule,
        seed: int,
    ) -> None:
        super().__init__(schedule, seed)
        self.embedder, self.class_layer = embedder, class_layer
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.freeze_if_asked()
        self._seen: list[tuple[Tensor, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to class logits (N, classes)."""
        logits: Tensor = self.class_layer(self.embedder(images))
        return logits

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Weighted cross-entropy of a batch."""
        logits = self(batch["images"]).float()
        weights = self.class_weights
        loss = F.cross_entropy(logits, batch["labels"], weight=weights, label_smoothing=self.label_smoothing)
        self.log_step({"loss": loss}, len(logits))
        return loss

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
