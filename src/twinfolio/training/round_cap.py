"""``train.minutes`` as a number of rounds, decided once."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from twinfolio.training.rounds import capped_rounds

CAP_FILE = "cap.json"
_PROBE_STEPS, _WARM_STEPS = 8, 3

logger = logging.getLogger(__name__)


class RoundCap(pl.Callback):
    """Turns ``train.minutes`` into a number of rounds, once, from the time of the first steps.

    The number is written into the work folder, so that a killed run that is resumed ends where it would have ended.
    Rank zero decides for all.

    Args:
        minutes: Most minutes of this training.
        work_dir: Where the number is kept.
    """

    def __init__(self, minutes: float, work_dir: Path) -> None:
        self.minutes, self.path = minutes, work_dir / CAP_FILE
        self._times: list[float] = []
        self._rounds: int | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Follow what an earlier attempt decided."""
        if self.path.exists():
            self._follow(trainer, int(json.loads(self.path.read_text(encoding="utf-8"))["rounds"]))

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Time the first steps, then decide."""
        if self._rounds is not None:
            return
        self._times.append(time.perf_counter())
        if len(self._times) < _WARM_STEPS + _PROBE_STEPS:
            return
        seconds = (self._times[-1] - self._times[_WARM_STEPS - 1]) / _PROBE_STEPS
        rounds = capped_rounds(self.minutes, seconds, int(trainer.num_training_batches))
        rounds = int(trainer.strategy.broadcast(rounds))
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(".part")
            part.write_text(json.dumps({"rounds": rounds, "seconds_per_step": seconds}), encoding="utf-8")
            part.replace(self.path)
        logger.info("%.3f s a step: at most %d rounds in %.1f minutes", seconds, rounds, self.minutes)
        self._follow(trainer, rounds)

    def reached(self, rounds: int) -> bool:
        """Whether a training of so many rounds ended at the cap."""
        return self._rounds is not None and rounds >= self._rounds

    def _follow(self, trainer: pl.Trainer, rounds: int) -> None:
        self._rounds = rounds
        trainer.fit_loop.max_epochs = min(rounds, trainer.max_epochs or rounds)
