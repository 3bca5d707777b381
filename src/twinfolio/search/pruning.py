"""Stopping a trial early, at Lightning's validations."""

from __future__ import annotations

import pytorch_lightning as pl
from optuna.exceptions import TrialPruned
from optuna.trial import Trial


class Pruning(pl.Callback):
    """Report each validation to the study and stop a trial that is not worth finishing.

    Args:
        trial: Who is told, under the number of epochs trained so far.
        metric: The validation metric that is the study's objective.
    """

    def __init__(self, trial: Trial, metric: str) -> None:
        self.trial, self.metric = trial, metric

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report; raise ``TrialPruned`` where the pruner says so."""
        epoch = trainer.current_epoch + 1
        if self.metric in trainer.callback_metrics:  # an objective may also be known at the end only
            self.trial.report(float(trainer.callback_metrics[self.metric]), epoch)
        if epoch < (trainer.max_epochs or 0) and self.trial.should_prune():  # after the last one nothing would be saved
            raise TrialPruned(f"stopped after epoch {epoch}")
