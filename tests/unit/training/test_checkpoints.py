import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from twinfolio.training.checkpoints import BEST, best_and_last


class Scripted(pl.LightningModule):
    """Its validation metric is read from a list; its one weight counts epochs."""

    def __init__(self, values):
        super().__init__()
        self.values = values
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, batch_idx):
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.log("val/score", self.values[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([0.5, 1.0, 1.0, 1.0], 3),  # of equally good epochs the latest
        ([0.5, 1.0, 0.9, 1.0, 0.8], 3),
        ([0.9, 0.5, 0.7], 0),
        ([0.1, 0.3, 0.2], 1),
    ],
)
def test_the_latest_of_the_best_epochs_is_kept(values, kept, tmp_path):
    data = DataLoader(torch.zeros(1), batch_size=1)
    trainer = pl.Trainer(
        max_epochs=len(values), accelerator="cpu", logger=False, callbacks=best_and_last(tmp_path, "val/score"),
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(Scripted(values), data, data)
    checkpoint = torch.load(tmp_path / f"{BEST}.ckpt", weights_only=True)
    assert checkpoint["epoch"] == kept
    assert checkpoint["state_dict"]["weight"].item() == -(kept + 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]
