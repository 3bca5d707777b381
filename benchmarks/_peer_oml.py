"""open-metric-learning as it documents training: balanced batches, triplets of hard negatives, Adam.

Eight classes of four images are its CUB pipeline's; hard triplets, margin .15, features on the unit sphere and random
resized crops down to a fifth its SOP pipeline's; Adam at 1e-4 its README's (the pipelines' 1e-5 is for hours). There
is no validation: all of the time goes into training, and the last weights stay.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from _peer import Budget, Rows, Trunk, hand_back, read_task, train_transform
from oml.losses import TripletLossWithMiner
from oml.miners import HardTripletsMiner
from oml.samplers import BalanceSampler
from torch.utils.data import DataLoader

CLASSES, EACH, MARGIN, RATE, SMALLEST = 8, 4, 0.15, 1e-4, 0.2


def main() -> None:
    task = read_task(__doc__)
    rows = Rows(task.store, "train", train_transform(task.flips, scale=(SMALLEST, 1.0)))
    rows.keep(np.bincount(rows.labels)[rows.labels] > 1)  # its sampler wants two images of each class
    model = Trunk().train()
    criterion = TripletLossWithMiner(margin=MARGIN, miner=HardTripletsMiner())
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    labels = rows.labels.tolist()
    sampler = BalanceSampler(labels, n_labels=min(CLASSES, len(set(labels))), n_instances=EACH)
    loader = DataLoader(rows, batch_sampler=sampler)
    budget = Budget(task.seconds)
    for images, labels in budget.batches(lambda: iter(loader)):
        loss = criterion(F.normalize(model(images)), labels)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    hand_back(task, budget, model)


if __name__ == "__main__":
    main()
