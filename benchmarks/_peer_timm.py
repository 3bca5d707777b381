"""A plain classifier as timm trains one, with two settings that make it fast on a processor.

Random resized crops, colour jitter, label smoothing, AdamW with warm-up and a cosine fall over the budget; images in
channels-last memory, and an allocator that keeps what is freed. Its pooled features are the embedding.
"""

from __future__ import annotations

import ctypes
import math
import platform

import torch
from _peer import Budget, Rows, Trunk, hand_back, read_task, train_transform
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import ColorJitter

BATCH, RATE, DECAY, WARMUP, SMOOTHING, SMALLEST, JITTER = 32, 1e-3, 0.02, 0.1, 0.1, 0.08, 0.4
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks, as the pipeline's stages do."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def rate(share: float) -> float:
    """Factor on the learning rate after a share of the budget: a rise, then half a cosine."""
    if share < WARMUP:
        return (share + 0.01) / (WARMUP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * (share - WARMUP) / (1 - WARMUP)))


def main() -> None:
    keep_freed_memory()
    task = read_task(__doc__)
    jitter = ColorJitter(JITTER, JITTER, JITTER)
    rows = Rows(task.store, "train", train_transform(task.flips, jitter, scale=(SMALLEST, 1.0)))
    trunk = Trunk()
    layer = nn.Linear(trunk.width, int(rows.labels.max()) + 1)
    model = nn.Sequential(trunk, layer).train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    loader = DataLoader(rows, batch_size=min(BATCH, len(rows)), shuffle=True, drop_last=True)
    budget = Budget(task.seconds)
    for images, labels in budget.batches(lambda: iter(loader)):
        for group in optimiser.param_groups:
            group["lr"] = RATE * rate(budget.share)
        loss = criterion(model(images.contiguous(memory_format=torch.channels_last)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    hand_back(task, budget, trunk, layer)


if __name__ == "__main__":
    main()
