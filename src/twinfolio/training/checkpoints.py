"""Two checkpoints, best and last, as real files that are whole at any moment; and what a resumed run needs."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

BEST, LAST = "best", "last"

logger = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints written under a temporary name beside their own: a kill leaves the old one or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write ``checkpoint`` to ``path``."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            torch.save(checkpoint, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


class LatestBest(ModelCheckpoint):
    """Keeps the latest of equally good epochs: the learning rate has fallen further by then.

    On easy data validation is without a fault long before training ends, and Lightning would keep the first such epoch.
    """

    def check_monitor_top_k(self, trainer: pl.Trainer, current: torch.Tensor | None = None) -> bool:
        """Whether this epoch's value is at least the best so far."""
        equal = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        return trainer.strategy.reduce_boolean_decision(equal) or super().check_monitor_top_k(trainer, current)


def best_and_last(work_dir: Path, monitor: str | None, averaged: bool = False) -> list[pl.Callback]:
    """The checkpoint callbacks: weights of the best validated epoch, and everything of the last epoch.

    Args:
        work_dir: Where they go.
        monitor: Metric whose maximum is the best; None: no validation, only the last.
        averaged: A moving average of the weights is validated: Lightning puts it into whole checkpoints alone.
    """
    same_name: dict[str, Any] = {"dirpath": work_dir, "enable_version_counter": False}
    last = ModelCheckpoint(filename=LAST, monitor=None, save_on_train_epoch_end=True, **same_name)
    if monitor is None:
        return [last]
    best = LatestBest(
        filename=BEST,
        monitor=monitor,
        mode="max",
        save_weights_only=not averaged,
        save_on_train_epoch_end=False,
        auto_insert_metric_name=False,
        **same_name,
    )
    return [best, last]


def last_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint to resume from, if an earlier run of the same work left one."""
    path = work_dir / f"{LAST}.ckpt"
    return path if path.exists() else None


def load_weights(module: pl.LightningModule, path: Path) -> int:
    """Put a checkpoint's weights into a module.

    Args:
        module: The module, wherever it is.
        path: A checkpoint of it.

    Returns:
        The checkpoint's epoch, from 0.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    return int(checkpoint["epoch"])


class RememberingEarlyStopping(EarlyStopping):
    """Early stopping that a resumed run remembers: one killed after its last epoch does not train another."""

    ended = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Decide, and note the decision for the last checkpoint, which is written after it."""
        super().on_validation_end(trainer, pl_module)
        self.ended = self.ended or trainer.should_stop

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same, where Lightning asks at the end of the epoch."""
        super().on_train_epoch_end(trainer, pl_module)
        self.ended = self.ended or trainer.should_stop

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once where the restored state says that training has ended."""
        if self.ended or self.wait_count >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Lightning's state, and whether training has ended."""
        return {**super().state_dict(), "ended": self.ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state of a run that is resumed."""
        self.ended = bool(state_dict["ended"])
        super().load_state_dict(state_dict)


class History(pl.Callback):
    """A row an epoch (the first is 1): train loss, validation metrics where there was a validation, learning rates.

    It travels in the last checkpoint, so that a resumed run has the rows of the epochs before.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that this epoch has validation metrics of its own."""
        self._validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row."""
        row = {"epoch": float(trainer.current_epoch + 1)}
        for name, value in sorted(trainer.callback_metrics.items()):
            if name.startswith("train/") or self._validated:
                row[name] = float(value)
        # the classifier's and the projection's groups come after the trunk's
        row["lr"] = float(trainer.optimizers[0].param_groups[-1]["lr"])
        self._validated = False
        self.rows.append(row)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in row.items() if name not in ("epoch", "lr"))
        logger.info("epoch %d of %s: %s", trainer.current_epoch + 1, trainer.max_epochs, shown)

    def table(self) -> pd.DataFrame:
        """The rows as a table, columns in a fixed order: epoch, losses, metrics, lr."""
        names = {name for row in self.rows for name in row} - {"epoch", "lr"}
        table = pd.DataFrame(self.rows, columns=["epoch", *sorted(names), "lr"])
        return table.astype({"epoch": int})

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the rows of a run that is resumed."""
        self.rows = list(state_dict["rows"])
