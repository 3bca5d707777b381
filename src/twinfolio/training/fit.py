"""One fit, resumed where an earlier one was killed, and the final numbers on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor

from twinfolio.data.batch_augmentation import to_float
from twinfolio.data.datamodule import StoreDataModule, StoreRows, eval_batch_size
from twinfolio.data.sampling import ShardBatches
from twinfolio.training.checkpoints import BEST, LAST, History, last_checkpoint, load_weights
from twinfolio.training.round_cap import RoundCap


@dataclass(frozen=True)
class Fitted:
    """What a fit left behind, on rank zero; the module holds the chosen weights.

    Args:
        best_epoch: Epoch of the chosen weights, from 0.
        epochs_run: Epochs or rounds trained, those before a kill included.
        steps: Steps taken, those before a kill included.
        capped: Whether ``train.minutes`` ended it.
        history: A row an epoch.
        device: The device the final numbers are computed on.
    """

    best_epoch: int
    epochs_run: int
    steps: int
    capped: bool
    history: pd.DataFrame
    device: torch.device


def fit(trainer: pl.Trainer, module: pl.LightningModule, data: StoreDataModule, work_dir: Path) -> Fitted | None:
    """Train, or go on training, and load the best weights (the last ones where nothing was validated).

    Args:
        trainer: From ``build_trainer``.
        module: What is trained.
        data: Its batches.
        work_dir: The trainer's; a last checkpoint in it is resumed from.

    Returns:
        None on every rank but zero, which have nothing left to do.
    """
    module.to(memory_format=torch.channels_last)
    trainer.fit(module, datamodule=data, ckpt_path=last_checkpoint(work_dir), weights_only=True)
    if not trainer.is_global_zero:
        return None
    name = BEST if (work_dir / f"{BEST}.ckpt").exists() else LAST
    best_epoch = load_weights(module, work_dir / f"{name}.ckpt")
    history = next(callback for callback in _callbacks(trainer) if isinstance(callback, History))
    device = trainer.strategy.root_device
    module.to(device).eval()
    rounds, steps = len(history.rows), int(trainer.global_step)
    capped = any(isinstance(one, RoundCap) and one.reached(rounds) for one in _callbacks(trainer))
    return Fitted(best_epoch, rounds, steps, capped, history.table(), device)


def _callbacks(trainer: pl.Trainer) -> list[pl.Callback]:
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks


def predict(forward: Callable[[Tensor], Tensor], rows: StoreRows, device: torch.device) -> np.ndarray:
    """Outputs (N, ...) float32 for all rows, in their order, on one device, without augmentation.

    Args:
        forward: From images (B, C, H, W) in [0, 1] to outputs (B, ...).
        rows: The rows.
        device: Where ``forward`` computes.
    """
    outputs = []
    with torch.inference_mode():
        for batch in ShardBatches(len(rows), eval_batch_size(device, rows.row_bytes)):
            images = to_float(rows[batch]["images"].to(device))
            outputs.append(forward(images).float())
    return torch.cat(outputs).cpu().numpy()  # one copy: a copy a batch would make a GPU wait for it


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Draw new layers' weights from a seed, and leave torch's own generator as it was.

    Args:
        seed: The seed.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
