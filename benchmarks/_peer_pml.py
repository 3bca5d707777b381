"""pytorch-metric-learning as its examples use it: M images a class, SupCon on a linear embedding, Adam at 1e-4.

The library's loss, sampler and (unit-sphere) distance are its defaults; batches of 32 with four images a class are
those of its example notebooks. There is no validation: all of the time goes into training, and the last weights stay.
"""

from __future__ import annotations

import torch
from _peer import Budget, Rows, Trunk, hand_back, read_task, train_transform
from pytorch_metric_learning.losses import SupConLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from torch import nn
from torch.utils.data import DataLoader

WIDTH, BATCH, EACH, RATE, SMALLEST = 256, 32, 4, 1e-4, 0.16


def main() -> None:
    task = read_task(__doc__)
    rows = Rows(task.store, "train", train_transform(task.flips, scale=(SMALLEST, 1.0)))
    trunk = Trunk()
    model = nn.Sequential(trunk, nn.Linear(trunk.width, WIDTH)).train()
    loss_function, optimiser = SupConLoss(), torch.optim.Adam(model.parameters(), lr=RATE)
    classes = len(set(rows.labels.tolist()))
    sampler = MPerClassSampler(rows.labels, EACH, length_before_new_iter=max(len(rows), BATCH))
    loader = DataLoader(rows, batch_size=min(BATCH, EACH * classes), sampler=sampler, drop_last=True)
    budget = Budget(task.seconds)
    for images, labels in budget.batches(lambda: iter(loader)):
        loss = loss_function(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    hand_back(task, budget, model)


if __name__ == "__main__":
    main()
