"""How long a training took, and how long it took to its best epoch, whatever kills came between."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl


class Clock(pl.Callback):
    """Steps and seconds at the end of each epoch, its validation included; they travel in the last checkpoint."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float]] = []
        self._started = 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on from what an earlier attempt had used."""
        self._started = time.perf_counter() - (self.rows[-1][1] if self.rows else 0.0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the epoch's end."""
        self.rows.append((trainer.global_step, time.perf_counter() - self._started))

    def facts(self, epoch: int) -> dict[str, float]:
        """``train_seconds`` and ``train_steps`` of all epochs, ``seconds_to_best`` and ``steps_to_best``.

        Args:
            epoch: The best one, from 1.
        """
        (steps, seconds), (all_steps, all_seconds) = self.rows[epoch - 1], self.rows[-1]
        return {"steps_to_best": steps, "seconds_to_best": seconds, "train_steps": all_steps,
                "train_seconds": all_seconds}  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """The epochs so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the epochs of a run that is resumed."""
        self.rows = [(int(steps), float(seconds)) for steps, seconds in state_dict["rows"]]
