"""Batches of the store for Lightning: one fancy index a batch, no worker processes, augmentation on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from twinfolio.data.batch_augmentation import augment_batch, to_float
from twinfolio.data.batch_warp import Warp, warp_batch
from twinfolio.data.sampling import Batches, ShardBatches
from twinfolio.data.store import Store

Batch = dict[str, Tensor]
"""``images`` (B, C, H, W); ``labels``, ``rows`` (the rows' numbers in their data set) and ``sources`` (numbers of the
images they stem from: copies and tiles share one), all (B,) int64."""

BatchFactory = Callable[[NDArray[np.int64], NDArray[np.int64], int, int], Batches]
"""From the labels and sources of the train rows, the rank and the number of ranks to the train batches."""

_FULL_ROW = 224 * 224 * 3
_MOST_EVAL_ROWS = 1024
_SHARE_OF_DEVICE = 0.25
"""Of a GPU's free memory, what its rows may take to be kept there."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to a train batch.

    Args:
        crop: Side of the random crop in pixels; None: the whole row.
        scale: Range of the zoom drawn before the crop.
        colour_jitter: Strength of brightness, contrast, saturation and channel changes.
        grey: Share of images made grey.
        warp: How far images are turned, slanted, moved, zoomed and bent, before the rest.
    """

    crop: int | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    colour_jitter: float = 0.0
    grey: float = 0.0
    warp: Warp = field(default_factory=Warp)

    def of(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augmented images (N, C, h, w), float32 in [0, 1]."""
        if self.warp.moves:
            images = warp_batch(to_float(images), self.warp, generator)
        return augment_batch(
            images,
            crop=self.crop,
            scale=self.scale,
            colour_jitter=self.colour_jitter,
            grey=self.grey,
            generator=generator,
        )


@dataclass(frozen=True)
class ImageKeys:
    """What an image may be compared with.

    Args:
        labels: (N,) class.
        groups: (N,) page, folio or quire.
        clusters: (N,) duplicate cluster.
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.str_]
    clusters: NDArray[np.str_]

    def excluded_from(self, other: ImageKeys) -> NDArray[np.bool_]:
        """(N, M): pairs of one group or one duplicate cluster, which no score may count."""
        same_group = self.groups[:, None] == other.groups[None, :]
        same_cluster = self.clusters[:, None] == other.clusters[None, :]
        return np.asarray(same_group | same_cluster)


class StoreRows(Dataset[Batch]):
    """Rows of one or more stores as one data set, asked for a batch at a time.

    Args:
        stores: The stores, of equal row size.
        rows: Rows to keep, counted through all stores; None: all.
    """

    def __init__(self, stores: Sequence[Store], rows: NDArray[np.int64] | None = None) -> None:
        self.stores = list(stores)
        self.starts = np.cumsum([0] + [len(store) for store in stores])
        self.rows = np.arange(self.starts[-1]) if rows is None else np.asarray(rows)
        self.index: pd.DataFrame = pd.concat([store.index for store in stores], ignore_index=True).iloc[self.rows]
        self.labels = np.concatenate([store.labels for store in stores]).astype(np.int64)[self.rows]
        self.sources = np.unique(self.index["image_id"].to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def keep_on(self, device: torch.device) -> None:
        """Read all rows once onto a device; batches are cut there from now on."""
        self._kept = self._from_disk(np.arange(len(self))).to(device)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return int(np.prod(self.stores[0].images.shape[1:]))

    def __getitem__(self, rows: NDArray[np.int64]) -> Batch:
        """A batch of rows: uint8 images (B, C, H, W) in channels-last memory."""
        kept = self._kept
        images = self._from_disk(rows) if kept is None else kept[torch.from_numpy(rows).to(kept.device)]
        images = images.permute(0, 3, 1, 2)
        numbers = {"labels": self.labels[rows], "rows": rows, "sources": self.sources[rows]}
        return {"images": images, **{name: torch.from_numpy(values) for name, values in numbers.items()}}

    def _from_disk(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self._read(self.rows[rows]))

    def _read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        if len(self.stores) == 1:
            return np.asarray(self.stores[0].images[rows])
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        out = np.empty((len(rows), *self.stores[0].images.shape[1:]), dtype=np.uint8)
        for number, store in enumerate(self.stores):
            mine = owner == number
            out[mine] = store.images[rows[mine] - self.starts[number]]
        return out

    @property
    def image_keys(self) -> ImageKeys:
        """Class, group and duplicate cluster of each image, in the order of ``sources``."""
        _, first = np.unique(self.sources, return_index=True)
        groups, clusters = (self.index[name].to_numpy(dtype=str)[first] for name in ("group", "cluster"))
        return ImageKeys(self.labels[first], groups, clusters)


def balanced_subset(labels: NDArray[np.int64], size: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """At most ``size`` positions, as many of each class as of any other where the class has them; sorted.

    Args:
        labels: (N,) class of each position.
        size: Most positions.
        generator: Source of the draw.
    """
    order = generator.permutation(len(labels))
    turn = pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    return np.sort(order[np.argsort(turn, kind="stable")[:size]]).astype(np.int64)


class StoreDataModule(pl.LightningDataModule):
    """Train batches of the train store; validation batches of the validation store at the full row size.

    Args:
        train: Train rows.
        val: Validation rows.
        train_batches: Makes the train batches of a rank.
        augmentation: Augmentation of the train batches.
        seed: Seed of the augmentation; a step's is drawn from (seed, rank, step), so resuming repeats none.
        gallery: Rows validation queries are ranked against, as a second validation loader; None: no such loader.
    """

    def __init__(
        self,
        train: StoreRows,
        val: StoreRows,
        *,
        train_batches: BatchFactory,
        augmentation: Augmentation,
        seed: int,
        gallery: StoreRows | None = None,
    ) -> None:
        super().__init__()
        self.train, self.val, self.gallery = train, val, gallery
        self.train_batches, self.augmentation, self.seed = train_batches, augmentation, seed

    def setup(self, stage: str) -> None:
        """Keep the rows on a GPU that has room for them; a processor reads them from the mapped files."""
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        parts = [part for part in (self.train, self.val, self.gallery) if part is not None]
        if device.type == "cuda" and fits(parts, torch.cuda.mem_get_info(device)[0]):
            for part in parts:
                part.keep_on(device)

    def train_dataloader(self) -> DataLoader[Batch]:
        """The train batches of this rank."""
        rank, world = self._place()
        return loader(self.train, self.train_batches(self.train.labels, self.train.sources, rank, world))

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """This rank's shard of the validation rows and, where there is one, of the gallery."""
        rank, world = self._place()
        parts = [self.val] if self.gallery is None else [self.val, self.gallery]
        device = self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")
        size = eval_batch_size(device, self.val.row_bytes)
        return [loader(part, ShardBatches(len(part), size, rank=rank, world=world)) for part in parts]

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn uint8 images on the device into floats in [0, 1], augmented where they are to be learned from."""
        images = batch["images"]
        if self.trainer is None or not self.trainer.training:
            return batch | {"images": to_float(images)}
        generator = torch.Generator().manual_seed(mix_seed(self.seed, self._place()[0], self.trainer.global_step))
        augmented = self.augmentation.of(images, generator)
        return batch | {"images": augmented.contiguous(memory_format=torch.channels_last)}

    def train_images(self, device: torch.device, batches: int = 16) -> Iterator[Tensor]:
        """Images (B, C, h, w) of the first train batches of one process, augmented as in training.

        Args:
            device: Where they go.
            batches: Most batches.
        """
        drawn = self.train_batches(self.train.labels, self.train.sources, 0, 1)
        for step, rows in enumerate(islice(drawn, batches)):
            generator = torch.Generator().manual_seed(mix_seed(self.seed, 0, step))
            images = self.augmentation.of(self.train[rows]["images"].to(device), generator)
            yield images.contiguous(memory_format=torch.channels_last)

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)


def fits(parts: Sequence[StoreRows], free: int) -> bool:
    """Whether rows may be kept on a device.

    Args:
        parts: The rows.
        free: Bytes that are free there.
    """
    return sum(len(part) * part.row_bytes for part in parts) <= _SHARE_OF_DEVICE * free


def eval_batch_size(device: torch.device, row_bytes: int) -> int:
    """Rows a batch without gradients; of small images as many as weigh what a few of 224 px do.

    Few on a processor, where they come on top of what training holds.

    Args:
        device: Where it computes.
        row_bytes: Bytes of a row.
    """
    least = 16 if device.type == "cpu" else 128
    return max(least, min(_MOST_EVAL_ROWS, least * _FULL_ROW // row_bytes))


def loader(rows: StoreRows, batches: Batches) -> DataLoader[Batch]:
    """A loader that asks for whole batches and starts no process.

    Args:
        rows: The data set.
        batches: Its batches.
    """
    sampler: Any = batches  # a sampler of whole batches: DataLoader hands each to the data set as it is
    return DataLoader(rows, sampler=sampler, batch_size=None, num_workers=0)


def mix_seed(*numbers: int) -> int:
    """One 63-bit seed from several numbers, different for different numbers.

    Args:
        numbers: Non-negative numbers, such as seed, rank and step.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
