"""What the LightningModules share: optimiser, frozen trunk, seeded epochs, results gathered by row."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from twinfolio.data.datamodule import mix_seed
from twinfolio.models.embedder import Embedder
from twinfolio.models.heads import PairScorer
from twinfolio.models.optimisation import Schedule
from twinfolio.models.tasks import ValidationTask, mean_value


class Learner(pl.LightningModule):
    """Base of all that is trained.

    Args:
        schedule: Optimiser settings.
        seed: Seed of what the layers draw (dropout), set anew at every step so that resuming repeats it.
    """

    def __init__(self, schedule: Schedule, seed: int) -> None:
        super().__init__()
        self.schedule, self.seed = schedule, seed
        self._losses: dict[str, Tensor] = {}  # an epoch's sums over images
        self._items = 0

    embedder: Embedder

    @property
    def trunk(self) -> nn.Module:
        """The part that learns at the trunk's own rate."""
        trunk: nn.Module = self.embedder.trunk
        return trunk

    @property
    def network(self) -> nn.Module:
        """What turns inputs into embeddings: the part that is compiled where compiling is asked for."""
        return self.embedder

    def freeze_if_asked(self) -> None:
        """Stop the trunk from learning where its learning rate is 0."""
        if self.schedule.trunk_lr == 0:
            self.trunk.requires_grad_(False)

    def train(self, mode: bool = True) -> Learner:
        """Training mode, except for a frozen trunk: its batch statistics stay as they are."""
        super().train(mode)
        if self.schedule.trunk_lr == 0:
            self.trunk.eval()
        return self

    def on_fit_start(self) -> None:
        """Lightning takes modules in the mode they come in: put everything that learns into training mode."""
        self.train()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW and its schedule, advanced at every step."""
        optimiser = self.schedule.optimiser(self, self.trunk)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = self.schedule.scheduler(optimiser, steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Empty the sums of the epoch's losses, whatever an epoch that did not end has left in them."""
        self._losses, self._items = {}, 0

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Seed what the layers draw from (seed, rank, step)."""
        seed = mix_seed(self.seed, self.global_rank, self.global_step)
        # torch.manual_seed formats the call stack for every kind of device that is not in use: a millisecond a step
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def log_step(self, losses: dict[str, Tensor], batch_size: int) -> None:
        """Log a train step's losses as epoch means under ``train/``.

        Lightning's own mean costs a millisecond a step and a loss, so its sums are kept here and logged with the
        epoch's last step.
        """
        for name, value in losses.items():
            self._losses[name] = self._losses.get(name, 0) + value.detach() * batch_size
        self._items += batch_size
        if self.trainer.is_last_batch:
            means = {f"train/{name}": total / self._items for name, total in self._losses.items()}
            self.log_dict(means, on_step=False, on_epoch=True, batch_size=self._items, sync_dist=True)

    def gather_batch(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings and labels of all devices, with gradients to each; devices may hold different numbers of rows.

        Every device computes the same loss of the whole; the gather's backward pass sums over devices and DDP then
        takes the mean, which leaves exactly the gradient of one large batch.

        Args:
            embeddings: (n, D) of this device.
            labels: (n,).
        """
        if self.trainer.world_size == 1:
            return embeddings, labels
        counts = self._gather(torch.tensor(len(labels), device=labels.device)).tolist()
        missing = max(counts) - len(labels)
        gathered = self._gather(F.pad(embeddings, (0, 0, 0, missing)), sync_grads=True)
        all_labels = self._gather(F.pad(labels, (0, missing)))
        kept = [slice(0, count) for count in counts]
        return (
            torch.cat([part[rows] for part, rows in zip(gathered, kept, strict=True)]),
            torch.cat([part[rows] for part, rows in zip(all_labels, kept, strict=True)]),
        )

    def _gather(self, tensor: Tensor, sync_grads: bool = False) -> Tensor:
        """The tensors of all devices, stacked (world, ...)."""
        return cast(Tensor, self.all_gather(tensor, sync_grads=sync_grads))

    def gather_rows(self, rows: Tensor, *values: Tensor) -> list[NDArray[Any]]:
        """Results of all ranks, each row once and in order.

        Args:
            rows: (n,) row numbers of this rank's shard (the same n on all ranks).
            values: (n, ...) results of these rows.

        Returns:
            The values (N, ...) as arrays, in the order of their row numbers.
        """
        parts = (rows, *values)
        if self.trainer.world_size > 1:
            parts = tuple(self._gather(part).flatten(0, 1) for part in parts)
        _, first = np.unique(parts[0].cpu().numpy(), return_index=True)
        return [part.cpu().numpy()[first] for part in parts[1:]]


class EmbeddingLearner(Learner):
    """A learner that is validated by what its embeddings say of pairs.

    Args:
        task: What validates it.
        schedule: Optimiser settings.
        seed: Seed of what the layers draw.
    """

    head: PairScorer

    def __init__(self, task: ValidationTask, schedule: Schedule, seed: int) -> None:
        super().__init__(schedule, seed)
        self.task = task
        self._seen: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._seen = {}

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Keep the embeddings of a batch of one of the validation loaders."""
        self._seen.setdefault(dataloader_idx, []).append((batch["rows"], self(batch["images"]).float()))

    def on_validation_epoch_end(self) -> None:
        """Log the mean over all queries, trials or pairs of the task."""
        parts = [[torch.cat(column) for column in zip(*self._seen[at], strict=True)] for at in sorted(self._seen)]
        embeddings = [torch.from_numpy(self.gather_rows(*part)[0]).to(self.device) for part in parts]
        self._seen = {}
        self.log(self.task.monitor, mean_value(self.task.values(self.head, embeddings)))
