"""The Lightning Trainer as every training stage uses it."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar, WeightAveraging
from pytorch_lightning.loggers import Logger

from twinfolio.training.averaging import GrowingAverage
from twinfolio.training.checkpoints import AtomicCheckpointIO, History, RememberingEarlyStopping, best_and_last
from twinfolio.training.memory import keep_freed_memory
from twinfolio.training.round_cap import RoundCap
from twinfolio.training.rounds import LEAST_GAIN, MOST_ROUNDS, PERFECT

_PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
_STEPS_A_REFRESH_IN_A_FILE = 50
_POINTLESS_ADVICE = (
    ".*does not have many workers.*",
    ".*sync_dist=True.*",
    ".*smaller than the logging interval.*",
    ".*exists and is not empty.*",
    ".*LeafSpec.*",
    ".*in eval mode at the start of training.*",  # a frozen trunk
)


@dataclass(frozen=True)
class Hardware:
    """What a training runs on; handed to Lightning as it is.

    Args:
        accelerator: ``auto``, ``cpu``, ``gpu`` or ``mps``.
        devices: Number of devices (processes, on CPU), or ``auto``.
        num_nodes: Number of machines.
        strategy: Lightning's strategy.
        precision: ``auto`` (bf16 mixed where the GPU has it, else 32), ``32``, ``bf16`` or ``16``.
        deterministic: Deterministic algorithms; an operation without one is a warning.
        compile: ``torch.compile`` the embedder.
    """

    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "auto"
    deterministic: bool = True
    compile: bool = False


@dataclass(frozen=True)
class Budget:
    """How long a training lasts.

    Args:
        epochs: Most epochs; None: until validation stops improving, in rounds (``training.rounds``) that take the place
            of epochs, at constant rates, validated and kept as a moving average of the weights.
        patience: Epochs without a gain on validation before training stops.
        validate_every: Epochs from one validation to the next; the last epoch is always validated.
        rounds: Number of rounds, where it is known already (a refit); None: open.
        minutes: Most minutes of training, where ``epochs`` and ``rounds`` are None; None: no cap.
    """

    epochs: int | None
    patience: int
    validate_every: int = 1
    rounds: int | None = None
    minutes: float | None = None

    @property
    def open_ended(self) -> bool:
        """Whether training is in rounds and not in a number of epochs that is set before."""
        return self.epochs is None

    @property
    def most(self) -> int:
        """Most epochs or rounds."""
        return self.epochs or self.rounds or MOST_ROUNDS


class ValidatesLast(pl.Callback):
    """Validate the last epoch, whatever the interval between validations is."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the interval to one epoch when the last one starts."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1


def build_trainer(
    hardware: Hardware,
    budget: Budget,
    *,
    work_dir: Path,
    monitor: str | None,
    logger: Logger | None = None,
    more: Sequence[pl.Callback] = (),
) -> pl.Trainer:
    """A Trainer with our checkpoints, history and early stopping; samplers stay ours under DDP.

    Args:
        hardware: What it runs on.
        budget: How long it lasts.
        work_dir: Folder of the checkpoints, outside every DVC out.
        monitor: Validation metric to maximise; None: train all epochs without validation.
        logger: Where epoch metrics go; None: nowhere.
        more: Callbacks besides these; called after them, when the checkpoints are written.
    """
    _quiet()
    keep_freed_memory()
    # what is not written is never read here; filling it first costs a fifth of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    more = [*more, *_open_ended(budget, work_dir, more)]
    averaged = any(isinstance(callback, WeightAveraging) for callback in more)
    callbacks: list[pl.Callback] = [History(), ValidatesLast(), ProgressBar()]
    if monitor is not None:
        waits = -(-budget.patience // budget.validate_every)
        ends: dict[str, Any] = {"min_delta": LEAST_GAIN, "stopping_threshold": PERFECT} if budget.open_ended else {}
        callbacks.append(RememberingEarlyStopping(monitor, mode="max", patience=waits, **ends))
    return pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.num_nodes,
        strategy=hardware.strategy,
        precision=resolve_precision(hardware.precision, hardware.accelerator),
        deterministic="warn" if hardware.deterministic else False,
        max_epochs=budget.most,
        check_val_every_n_epoch=budget.validate_every,
        limit_val_batches=0 if monitor is None else None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[*callbacks, *best_and_last(work_dir, monitor, averaged), *more],
        plugins=[AtomicCheckpointIO()],
        logger=logger or False,
        log_every_n_steps=1_000_000,  # epoch means are enough: a database row a step slows short steps
        default_root_dir=work_dir,
        enable_model_summary=False,
    )


def _open_ended(budget: Budget, work_dir: Path, more: Sequence[pl.Callback]) -> list[pl.Callback]:
    """Callbacks of a training in rounds: an average of the weights, where none is asked for, and its cap."""
    callbacks: list[pl.Callback] = []
    if not budget.open_ended:
        return callbacks
    if not any(isinstance(callback, WeightAveraging) for callback in more):
        callbacks.append(GrowingAverage())
    if budget.rounds is None and budget.minutes is not None:
        callbacks.append(RoundCap(budget.minutes, work_dir))
    return callbacks


def resolve_precision(precision: str, accelerator: str) -> Any:
    """Lightning's name of a precision.

    Args:
        precision: ``auto``, ``32``, ``bf16`` or ``16``.
        accelerator: As in ``Hardware``.
    """
    if precision != "auto":
        return _PRECISIONS[precision]
    on_gpu = accelerator in ("auto", "gpu") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


class ProgressBar(TQDMProgressBar):
    """A bar that moves a step at a time on a screen, and in leaps where output goes to a file."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=1 if sys.stderr.isatty() else _STEPS_A_REFRESH_IN_A_FILE)

    def get_metrics(self, *args: Any) -> dict[str, Any]:
        """What the bar shows, without Lightning's version number."""
        return {name: value for name, value in super().get_metrics(*args).items() if name != "v_num"}


def _quiet() -> None:
    """Silence advice that does not apply: batches are whole and need no workers; validation is gathered by row."""
    for message in _POINTLESS_ADVICE:
        warnings.filterwarnings("ignore", message)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
