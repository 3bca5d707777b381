"""Learning judgments of pairs as a LightningModule: squared error of a twin's similarity (Jimenez & Szabo)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from twinfolio.models.learner import EmbeddingLearner
from twinfolio.models.optimisation import Schedule
from twinfolio.models.tasks import JudgedTask
from twinfolio.models.twin import Twin


class PairRegression(EmbeddingLearner):
    """A twin, trained on pairs of rows; under several devices each takes its own pairs.

    Args:
        twin: Two inputs to their similarity.
        targets: (N, M) judgments of N queries, rows 0 to N - 1, and M maps, the rows after them.
        task: What validates it.
        schedule: Optimiser settings.
        seed: Seed of what the layers draw.
    """

    targets: Tensor

    def __init__(self, twin: Twin, targets: Tensor, *, task: JudgedTask, schedule: Schedule, seed: int) -> None:
        super().__init__(task, schedule, seed)
        self.head: Twin = twin
        self.register_buffer("targets", targets, persistent=False)
        self.freeze_if_asked()

    @property
    def trunk(self) -> nn.Module:
        """The twin's."""
        return self.head.trunk

    @property
    def network(self) -> nn.Module:
        """The twin's trunk."""
        return self.head.trunk

    def forward(self, images: Tensor) -> Tensor:
        """Inputs (N, C, H, W) in [0, 1] to embeddings (N, D)."""
        return self.head.embed(images)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Mean squared error of a batch's queries with their maps, and the twin's own penalty."""
        a, b = self(batch["images"]).float().chunk(2)
        queries, maps = batch["rows"].chunk(2)
        error = F.mse_loss(self.head.paired(a, b), self.targets[queries, maps - len(self.targets)])
        loss = error + self.head.penalty()
        self.log_step({"loss": loss, "pair_loss": error}, len(queries))
        return {"loss": loss, "pair_loss": error.detach()}
