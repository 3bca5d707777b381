"""Pruning in Lightning's own loop, with a model that learns nothing and reports what it is told."""

from collections import Counter

import pytest
import pytorch_lightning as pl
import torch
from optuna.trial import TrialState
from torch.utils.data import DataLoader, TensorDataset

from tests.unit.search.test_worker import opened, plan
from twinfolio.search.pruning import Pruning
from twinfolio.search.study import planned_trials, unfinished
from twinfolio.search.worker import work

EPOCHS = 9


class Told(pl.LightningModule):
    """Reports ``slope`` times the epoch at every validation; ``stop_at`` interrupts it there."""

    def __init__(self, slope, name="val/m", stop_at=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.slope, self.name, self.stop_at, self.epochs = slope, name, stop_at, 0

    def training_step(self, batch, batch_idx):
        return self.weight.square()

    def on_train_epoch_start(self):
        self.epochs += 1
        if self.epochs == self.stop_at:
            raise KeyboardInterrupt

    def validation_step(self, batch, batch_idx):
        self.log(self.name, torch.tensor(self.slope * (self.current_epoch + 1)))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(module, trial):
    rows = DataLoader(TensorDataset(torch.zeros(1, 1)), num_workers=0)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=EPOCHS, num_sanity_val_steps=0, callbacks=[Pruning(trial, "val/m")], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, rows, rows)
    return [float(trainer.callback_metrics[module.name])]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_six_trials_in_lightnings_loop_are_interrupted_resumed_pruned_and_finished(tmp_path, pruner):
    of = plan(trials=6, pruner=pruner, least_epochs=1, most_epochs=EPOCHS, factor=3)
    trained = []

    def interrupted(trial, values):
        trained.append(Told(values["a.x"], stop_at=2 if len(trained) == 2 else None))
        return fit(trained[-1], trial)

    study = opened(tmp_path, of)
    with pytest.raises(SystemExit):  # Lightning's answer to Ctrl-C
        work(study, of.space, interrupted, poll_s=0.01)
    assert unfinished(study) == (4, 0)
    work(opened(tmp_path, of), of.space, interrupted, poll_s=0.01)
    trials = planned_trials(study)
    states = Counter(trial.state for trial in trials)
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == len(trials) == 6
    assert states[TrialState.COMPLETE] >= 1
    assert states[TrialState.PRUNED] >= 1
    for trial in trials:
        assert list(trial.intermediate_values) == list(range(1, len(trial.intermediate_values) + 1))
        assert (len(trial.intermediate_values) < EPOCHS) == (trial.state == TrialState.PRUNED)
    best = max(trial.params["a.x"] for trial in trials if trial.state == TrialState.COMPLETE)
    assert study.best_value == pytest.approx(best * EPOCHS)


@pytest.mark.filterwarnings("ignore")
def test_an_objective_known_at_the_end_only_is_trained_to_the_end(tmp_path):
    of = plan(trials=2, pruner="none")
    study = opened(tmp_path, of)
    work(study, of.space, lambda trial, values: fit(Told(values["a.x"], name="val/other"), trial), poll_s=0.01)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert all(not trial.intermediate_values for trial in study.trials)
