import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from twinfolio.models.learner import Learner
from twinfolio.models.optimisation import Schedule


class Toy(Learner):
    """Its loss is the mean of what it is given."""

    def __init__(self, dies_at=None):
        super().__init__(Schedule(), seed=0)
        self.trunk_layer, self.dies_at = torch.nn.Linear(1, 1), dies_at

    trunk = property(lambda self: self.trunk_layer)

    def training_step(self, batch, batch_idx):
        if batch_idx == self.dies_at:
            raise RuntimeError("the power is gone")
        self.log_step({"loss": batch.mean()}, len(batch))
        return batch.mean() + 0 * self.trunk_layer(batch).sum()


def fit(module, values):
    loader = DataLoader(torch.tensor(values)[:, None], batch_size=2)
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader)
    return trainer.callback_metrics


def test_an_epochs_loss_is_the_mean_over_its_images():
    assert fit(Toy(), [1.0, 3.0, 8.0])["train/loss"] == pytest.approx(4.0)


def test_an_epoch_that_did_not_end_leaves_nothing_to_the_next():
    module = Toy(dies_at=1)
    with pytest.raises(RuntimeError, match="power"):
        fit(module, [100.0, 100.0, 100.0])
    module.dies_at = None
    assert fit(module, [1.0, 3.0, 8.0])["train/loss"] == pytest.approx(4.0)
