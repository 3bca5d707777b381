"""VGG19 at 224 px on a GPU: does the store keep it busy, and how long do the paper's ten epochs take?

A synthetic store of 8,638 images (Khayyat et al.'s number) in 64 classes, bf16, channels-last. Three paths, each
against the same step on batches that lie on the GPU already, under the same Trainer: the classifier's training, the
fusion-head Siamese training over all pairs, and embedding. The store's side of each training lasts the paper's ten
epochs, so their wall time is measured (Lightning and checkpoints with it, validation not). Needs a GPU.
``python benchmarks/vgg19_gpu.py [--epochs N]``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from _bench import finish, skipped

from twinfolio.data.batch_augmentation import to_float
from twinfolio.data.datamodule import Augmentation, Batch, BatchFactory, StoreDataModule, StoreRows, eval_batch_size
from twinfolio.data.sampling import PKBatches, ShuffledBatches
from twinfolio.data.store import INDEX_COLUMNS, Store
from twinfolio.models.classifier import ClassifierModule
from twinfolio.models.embedder import build_classifier, build_siamese
from twinfolio.models.optimisation import Schedule
from twinfolio.models.siamese import PairObjective, SiameseModule
from twinfolio.training.data import gallery_rows, retrieval_task
from twinfolio.training.fit import predict, seeded_weights
from twinfolio.training.trainer import Budget, Hardware, build_trainer

NAME, UNIT, BAR = "vgg19_gpu", "largest share of images/s lost to the store", 0.10
PAPER_HOURS = 6.0
AUGMENTATION = Augmentation(crop=None, colour_jitter=0.2, grey=0.0)  # of studies/khayyat
PAIRS = {"classes_per_batch": 16, "images_per_class": 4}
READY_BATCHES = 4


@dataclass(frozen=True)
class Settings:
    """What is measured; the defaults are the paper's size."""

    trunk: str = "vgg19"
    images: int = 8638
    classes: int = 64
    size: int = 224
    epochs: int = 10
    batch_size: int = 32
    accelerator: str = "gpu"
    precision: str = "bf16"

    @property
    def device(self) -> torch.device:
        """Where the work is done."""
        return torch.device("cuda" if self.accelerator == "gpu" else "cpu")


@dataclass(frozen=True)
class Job:
    """A training: its module, made anew for each side, and its batches."""

    module: Callable[[], pl.LightningModule]
    batches: BatchFactory


class EpochClock(pl.Callback):
    """Seconds of each epoch, the GPU's work done before a clock is read, and the images it saw."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.images = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        wait(pl_module.device)
        self.images, self.started = 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Count the batch."""
        self.images += len(batch["labels"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        wait(pl_module.device)
        self.seconds.append(time.perf_counter() - self.started)

    def rate(self) -> float:
        """Images a second, the median of the epochs after the first, which prepares kernels."""
        return self.images / float(np.median(self.seconds[1:] or self.seconds))


class OnDevice(StoreDataModule):
    """The same number of batches, all of them on the device and augmented before anything is timed."""

    def __init__(self, rows: StoreRows, batches: BatchFactory, device: torch.device) -> None:
        super().__init__(rows, rows, train_batches=batches, augmentation=AUGMENTATION, seed=0)
        drawn = batches(rows.labels, rows.sources, 0, 1)
        self.order = [len(batch) for batch in drawn]
        self.ready = {size: ready_batches(rows, size, drawn, device) for size in set(self.order)}

    def train_dataloader(self) -> Any:
        """The batches that are ready, over and over."""
        return ReadyBatches(self)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Nothing is left to do."""
        return batch


class ReadyBatches:
    """An iterable of an epoch's batches with a length, as Lightning wants it."""

    def __init__(self, data: OnDevice) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data.order)

    def __iter__(self) -> Iterator[Batch]:
        for position, size in enumerate(self.data.order):
            ready = self.data.ready[size]
            yield ready[position % len(ready)]


def ready_batches(rows: StoreRows, size: int, drawn: Any, device: torch.device) -> list[Batch]:
    """A few augmented batches of ``size`` rows on the device."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for numbers in drawn:
        if len(numbers) == size and len(batches) < READY_BATCHES:
            batch = {name: values.to(device) for name, values in rows[numbers].items()}
            images = AUGMENTATION.of(batch["images"], generator)
            batches.append(batch | {"images": images.contiguous(memory_format=torch.channels_last)})
    return batches


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def write_synthetic(folder: Path, settings: Settings) -> StoreRows:
    """A train store of noise over a level of its class's own; rows are no copies of each other."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    labels = (np.arange(settings.images) % settings.classes).astype(np.int64)
    shape = (settings.images, settings.size, settings.size, 3)
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    noise = draws.integers(0, 96, (settings.size + 64, settings.size, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        shift = int(draws.integers(64))
        images[row] = noise[shift : shift + settings.size] + np.uint8(2 * (label % 64))
    images.flush()
    np.save(folder / "labels.npy", labels)
    names = [f"c{label:02d}/{row:05d}" for row, label in enumerate(labels)]
    columns = (names, 0, 0, [name.split("/")[0] for name in names], names, names, 0)
    pd.DataFrame(dict(zip(INDEX_COLUMNS, columns, strict=True))).to_csv(folder / "index.csv", index=False)
    return StoreRows([Store.open(folder)])


def jobs(settings: Settings, rows: StoreRows) -> dict[str, Job]:
    """The two trainings of studies/khayyat, from random weights: speed does not depend on them."""

    def classifier() -> pl.LightningModule:
        with seeded_weights(0):
            parts = build_classifier(settings.trunk, weights="none", classes=settings.classes)
        weights = torch.ones(settings.classes)
        return ClassifierModule(*parts, class_weights=weights, label_smoothing=0.0, schedule=rates(1e-3), seed=0)

    def siamese() -> pl.LightningModule:
        with seeded_weights(0):
            parts = build_siamese(
                settings.trunk, weights="none", head="fusion", distance="l2", embedding=None, normalise=False
            )
        gallery = gallery_rows(rows, 2 * settings.classes, seed=0)
        return SiameseModule(
            *parts,
            None,
            objective=PairObjective(loss="bce", class_weight=0.0),
            class_weights=torch.ones(settings.classes),
            task=retrieval_task(gallery, gallery),
            schedule=rates(1e-4),
            seed=0,
        )

    return {
        "classify": Job(classifier, lambda labels, *_: ShuffledBatches(len(labels), settings.batch_size, seed=0)),
        "siamese": Job(siamese, lambda labels, sources, *_: PKBatches(labels, sources, **PAIRS, seed=0)),
    }


def rates(lr: float) -> Schedule:
    return Schedule(lr=lr, trunk_lr=lr / 10)


def train(module: pl.LightningModule, data: StoreDataModule, epochs: int, settings: Settings) -> tuple[float, float]:
    """Images a second, and seconds from the start of the fit to its end."""
    with tempfile.TemporaryDirectory() as work_dir:
        hardware = Hardware(accelerator=settings.accelerator, precision=settings.precision)
        trainer = build_trainer(hardware, Budget(epochs, epochs), work_dir=Path(work_dir), monitor=None)
        clock = EpochClock()
        trainer.callbacks.insert(0, clock)
        module.to(memory_format=torch.channels_last)
        started = time.perf_counter()
        trainer.fit(module, datamodule=data)
        wait(settings.device)
        return clock.rate(), time.perf_counter() - started


def train_sides(job: Job, rows: StoreRows, settings: Settings) -> dict[str, float]:
    """On the GPU, from the store for all epochs, on the GPU again; the better of the two is what the GPU can do."""
    short = min(3, settings.epochs)
    ready = OnDevice(rows, job.batches, settings.device)
    before, _ = train(job.module(), ready, short, settings)
    data = StoreDataModule(rows, rows, train_batches=job.batches, augmentation=AUGMENTATION, seed=0)
    store, seconds = train(job.module(), data, settings.epochs, settings)
    after, _ = train(job.module(), ready, short, settings)
    return {"store": store, "device": max(before, after), "epochs_s": seconds}


def embed_sides(module: pl.LightningModule, rows: StoreRows, settings: Settings) -> dict[str, float]:
    """Embedding all rows by ``predict``, against the same forward on a batch that lies on the GPU."""
    device, batch = settings.device, eval_batch_size(settings.device, rows.row_bytes)
    module.to(device, memory_format=torch.channels_last).eval()
    images = to_float(rows[np.arange(min(batch, len(rows)))]["images"].to(device))
    times: dict[str, list[float]] = {"store": [], "device": []}

    def from_store() -> None:
        predict(module, rows, device)

    def from_device() -> None:
        with torch.inference_mode():
            outputs = [module(images[: len(rows) - start]).float() for start in range(0, len(rows), batch)]
            torch.cat(outputs).cpu()

    for _ in range(4):
        for name, work in (("device", from_device), ("store", from_store)):
            with autocast(settings):
                started = time.perf_counter()
                work()
                times[name].append(time.perf_counter() - started)
    return {name: len(rows) / min(seconds[1:]) for name, seconds in times.items()}


def autocast(settings: Settings) -> Any:
    if settings.precision != "bf16":
        return nullcontext()
    return torch.autocast(settings.device.type, dtype=torch.bfloat16)


def measure(settings: Settings) -> dict[str, dict[str, float]]:
    """Images a second of both sides of each path; ``epochs_s`` is the measured time of the trainings' epochs."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = write_synthetic(Path(scratch, "train"), settings)
        trainings = jobs(settings, rows)
        found = {name: train_sides(job, rows, settings) for name, job in trainings.items()}
        found["embed"] = embed_sides(trainings["siamese"].module(), rows, settings)
    return found


def report(settings: Settings, found: dict[str, dict[str, float]]) -> None:
    lost = {name: max(0.0, 1 - side["store"] / side["device"]) for name, side in found.items()}
    for name, side in found.items():
        print(f"{name}: {side['store']:.0f} images/s from the store, {side['device']:.0f} on the GPU:", end=" ")
        print(f"{lost[name]:.1%} lost (bar {BAR:.0%})")
    trainings = [name for name in found if name != "embed"]
    measured = sum(found[name]["epochs_s"] for name in trainings)
    projected = sum(settings.epochs * settings.images / found[name]["store"] for name in trainings)
    print(f"{settings.epochs} epochs of classifier and Siamese over {settings.images} images: measured", end=" ")
    print(f"{measured:.0f} s, {projected:.0f} s by the rates; the paper: {PAPER_HOURS:g} h for ten", end=" ")
    print(f"({PAPER_HOURS * 3600 / measured:.0f} x)")
    sides: dict[str, Any] = {f"{n}_{s}_images_per_s": found[n][s] for n in found for s in ("store", "device")}
    sides |= {f"{name}_lost": value for name, value in lost.items()}
    sides |= {"epochs": settings.epochs, "epochs_measured_s": measured, "epochs_projected_s": projected}
    sides |= {"paper_s": PAPER_HOURS * 3600}
    finish(NAME, max(lost.values()), UNIT, BAR, max(lost.values()) <= BAR, sides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=Settings.epochs, help="epochs from the store; the paper's: 10")
    settings = Settings(epochs=parser.parse_args().epochs)
    if not torch.cuda.is_available():
        print("vgg19_gpu needs a CUDA GPU: nothing was measured")
        skipped(NAME, UNIT, BAR, "needs a CUDA GPU")
        return
    report(settings, measure(settings))


if __name__ == "__main__":
    main()
