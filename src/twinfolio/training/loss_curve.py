"""The loss of every step, where a mean an epoch says too little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl


class LossCurve(pl.Callback):
    """Keeps ``pair_loss`` of every step; it travels in the last checkpoint.

    Attributes:
        values: One a step.
    """

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the step's."""
        assert isinstance(outputs, Mapping)
        self.values.append(float(outputs["pair_loss"]))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on with."""
        return {"values": self.values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with it."""
        self.values = list(state_dict["values"])
