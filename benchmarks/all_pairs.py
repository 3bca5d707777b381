"""All pairs of a batch against the papers' two-tower loop over sampled pairs, at equal wall-clock.

Both sides see the same batches of P x K images in the same order, with the same trunk, head, binary cross-entropy and
optimiser. The two-tower loop makes P K / 2 pairs of a batch, as many of one class as of two, every image in one pair,
and passes the trunk once for either side of a pair. Ours passes each image once and takes all pairs of the batch.
Training is timed, reading and augmentation with it; validation between the stretches is not. The sides take turns, so
that a machine that slows down slows both. ``python benchmarks/all_pairs.py [--data FOLDER] [--seconds S]``; without a
folder it makes sample pages.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _bench import finish
from torch import Tensor, nn

from twinfolio.data.building import build_manifest
from twinfolio.data.datamodule import Augmentation, StoreRows
from twinfolio.data.sampling import PKBatches
from twinfolio.data.store_plan import Rendering
from twinfolio.data.store_writer import write_store
from twinfolio.evaluation.bootstrap import bootstrap_statistics
from twinfolio.evaluation.curves import PairScores
from twinfolio.evaluation.pairs import build_pairs, pair_groups, pair_scores
from twinfolio.evaluation.retrieval_protocol import Items, average_tiles
from twinfolio.models.embedder import build_siamese
from twinfolio.models.losses import pair_loss, pair_masks, paired_loss
from twinfolio.models.optimisation import Schedule
from twinfolio.sample.generate import write_sample
from twinfolio.training.data import gallery_rows, open_rows
from twinfolio.training.fit import predict, seeded_weights

OURS, THEIRS = "all_pairs", "two_tower"
CLASSES, IMAGES = 16, 4
SHARE_BAR = 0.5


@dataclass(frozen=True)
class Settings:
    """What both sides have in common."""

    trunk: str = "tf_efficientnet_lite0"
    weights: str = "imagenet"
    size: int = 160
    crop: int = 96
    seconds: float = 70.0
    checks: int = 8
    seeds: int = 3
    archive: int = 192
    device: torch.device = field(default_factory=lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu"))


class Model(nn.Module):
    """An embedder and a head, initialised from a seed."""

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__()
        with seeded_weights(seed):
            self.embedder, self.head = build_siamese(
                settings.trunk, weights=settings.weights, head="distance", distance="cosine"
            )
        self.to(settings.device, memory_format=torch.channels_last)


Step = Callable[[Model, Tensor, Tensor], tuple[Tensor, int]]
"""From the model, images (B, C, h, w) and labels (B,), K rows a class, to the loss and its number of pairs."""


def all_pairs(model: Model, images: Tensor, labels: Tensor) -> tuple[Tensor, int]:
    loss = pair_loss("bce", model.head, model.embedder(images), labels)
    masks = pair_masks(labels)
    return loss, int((masks.positive | masks.negative).sum()) // 2


def two_tower(model: Model, images: Tensor, labels: Tensor) -> tuple[Tensor, int]:
    left, right = sampled_pairs(len(labels))
    x, y = model.embedder(images[left]), model.embedder(images[right])
    return paired_loss("bce", model.head, x, y, labels[left] == labels[right]), len(left)


STEPS: dict[str, Step] = {OURS: all_pairs, THEIRS: two_tower}


def sampled_pairs(rows: int) -> tuple[Tensor, Tensor]:
    """Positions of pairs in a batch of K = 4 rows a class: (1st, 2nd) of a class, 3rd with the next class's 4th."""
    of_class = torch.arange(rows).view(-1, IMAGES)
    left = torch.cat([of_class[:, 0], of_class[:, 2]])
    return left, torch.cat([of_class[:, 1], of_class[:, 3].roll(-1)])


class Side:
    """One way to train, its clock, and what its checks measured."""

    def __init__(self, name: str, settings: Settings, train: StoreRows, seed: int) -> None:
        self.name, self.settings, self.train = name, settings, train
        self.model = Model(settings, seed)
        self.optimiser = Schedule().optimiser(self.model, self.model.embedder.trunk)
        # a constant rate after ten steps: a schedule that ends with the budget would favour whoever is looked at last
        self.warmup = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: min(1.0, (step + 1) / 10))
        self.generator = torch.Generator().manual_seed(seed)
        self.batches = endless(train, seed)
        self.seconds, self.steps, self.pairs = 0.0, 0, 0
        self.scores: list[np.ndarray] = []

    def train_until(self, seconds: float) -> None:
        """Train until the side's own clock, which stands still during checks, shows ``seconds``."""
        self.model.train()
        while self.seconds < seconds:
            started = time.perf_counter()
            self.pairs += self.step()
            self.seconds += time.perf_counter() - started
            self.steps += 1

    def step(self) -> int:
        """One step, from reading the rows to the new weights; the number of pairs in its loss."""
        batch = self.train[next(self.batches)]
        images, labels = (batch[name].to(self.settings.device) for name in ("images", "labels"))
        how = Augmentation(crop=self.settings.crop, colour_jitter=0.4, grey=0.3)
        crops = how.of(images, self.generator)
        loss, pairs = STEPS[self.name](self.model, crops.contiguous(memory_format=torch.channels_last), labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.warmup.step()
        if images.is_cuda:
            torch.cuda.synchronize()
        return pairs


def endless(train: StoreRows, seed: int) -> Iterator[np.ndarray]:
    """P x K batches, epoch after epoch."""
    batches = PKBatches(train.labels, train.sources, classes_per_batch=CLASSES, images_per_class=IMAGES, seed=seed)
    for epoch in count():
        batches.set_epoch(epoch)
        yield from batches


class Validation:
    """Frozen pairs of validation images with train images; scores of a model for them."""

    def __init__(self, settings: Settings, train: StoreRows, val: StoreRows) -> None:
        self.queries, self.archive = val, gallery_rows(train, settings.archive, seed=0)
        self.device = settings.device
        self.query_items, self.archive_items = items(self.queries), items(self.archive)
        self.pairs, self.counts = build_pairs(self.query_items, self.archive_items, seed=0)
        self.labels = self.pairs["label"].to_numpy() == 1
        self.groups = pair_groups(self.pairs, self.query_items)

    def scores(self, model: Model) -> np.ndarray:
        """Logits of the pairs (P,), from whole images."""
        model.eval()
        queries, archive = (
            torch.from_numpy(predict(model.embedder, rows, self.device)).to(self.device)
            for rows in (self.queries, self.archive)
        )
        with torch.inference_mode():
            logits = model.head.pairwise(queries, archive).cpu().numpy()
        averaged = average_tiles(logits, self.queries.sources, self.archive.sources)
        return pair_scores(
            self.pairs,
            lambda rows, columns: averaged[np.ix_(rows, columns)],
            self.query_items.ids,
            self.archive_items.ids,
        )

    def ap(self, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Average precision of the pairs, each counted as often as ``weights`` say."""
        return PairScores.of(scores, self.labels).pr(weights).average_precision


def items(rows: StoreRows) -> Items:
    """The images behind rows, in the order of their ``sources``."""
    keys = rows.image_keys
    return Items(np.unique(rows.index["image_id"].to_numpy(dtype=str)), keys.labels, keys.groups, keys.clusters)


def make_store(folder: Path, target: Path, size: int) -> Path:
    """The folder split by the project's rules (test is left alone), as a store without copies."""
    manifest = build_manifest(folder, protocol="blocks", fractions=(0.70, 0.25, 0.05)).manifest
    write_store(manifest, folder, target, Rendering(size=size, tiles=1), max_copies=0, workers=1)
    return target


def pairable(train: StoreRows) -> StoreRows:
    """Rows of the classes with K images or more, so that both sides get whole batches."""
    images = pd.Series(train.sources).groupby(train.labels).transform("nunique").to_numpy()
    return StoreRows(train.stores, train.rows[images >= IMAGES])


def compete(settings: Settings, train: StoreRows, validation: Validation) -> dict[str, list[Side]]:
    """Train both sides for every seed in turns of one stretch between two checks."""
    for name in STEPS:  # first calls prepare kernels; nobody should pay for the other
        Side(name, settings, train, seed=0).step()
    sides: dict[str, list[Side]] = {name: [] for name in STEPS}
    for seed in range(settings.seeds):
        order = [Side(name, settings, train, seed) for name in (STEPS if seed % 2 == 0 else reversed(STEPS))]
        for check in range(1, settings.checks + 1):
            for side in order:
                side.train_until(settings.seconds * check / settings.checks)
                side.scores.append(validation.scores(side.model))
            aps = ", ".join(f"{side.name} {validation.ap(side.scores[-1]):.4f}" for side in order)
            print(f"seed {seed}, {settings.seconds * check / settings.checks:5.1f} s: pair AP {aps}", flush=True)
        for side in order:
            sides[side.name].append(side)
    return sides


def seconds_to(curve: np.ndarray, goal: float, settings: Settings) -> float | None:
    """Seconds at the first check that reaches the goal; None where none does."""
    reached = np.flatnonzero(curve >= goal)
    return float(settings.seconds * (reached[0] + 1) / settings.checks) if len(reached) else None


def verdict(settings: Settings, validation: Validation, sides: dict[str, list[Side]]) -> None:
    """Print both sides and the three demands; a person's lines first, then the row."""
    curves = {name: np.array([[validation.ap(s) for s in side.scores] for side in sides[name]]) for name in STEPS}
    mean = {name: curve.mean(0) for name, curve in curves.items()}
    rate = {name: sum(s.pairs for s in sides[name]) / sum(s.seconds for s in sides[name]) for name in STEPS}
    steps = {name: sum(s.steps for s in sides[name]) / settings.seeds for name in STEPS}

    def final(weights: np.ndarray | None = None) -> list[float]:
        ours, theirs = (
            float(np.mean([validation.ap(side.scores[-1], weights) for side in sides[name]])) for name in STEPS
        )
        return [ours, theirs, ours - theirs]

    (ours, theirs, lead), ends = final(), bootstrap_statistics(final, validation.groups)
    reached = seconds_to(mean[OURS], theirs, settings)
    share = None if reached is None else reached / settings.seconds
    for name in STEPS:
        print(f"{name}: {rate[name]:.0f} pairs/s, {steps[name]:.0f} steps a seed, pair AP", end=" ")
        print(" ".join(f"{value:.3f}" for value in mean[name]), f"(mean of {settings.seeds} seeds at each check)")
    print(f"pairs/s: {rate[OURS] / rate[THEIRS]:.0f} x; pair AP after {settings.seconds:g} s each:", end=" ")
    print(f"{ours:.4f} against {theirs:.4f}, difference {lead:+.4f} ({ends[2].low:+.4f} to {ends[2].high:+.4f})")
    print(f"two_tower's final AP: ours is there after {'no' if share is None else f'{share:.0%} of the'} time", end=" ")
    print(f"(bar {SHARE_BAR:.0%})")
    row = {f"{name}_pairs_per_s": rate[name] for name in STEPS} | {f"{name}_steps": steps[name] for name in STEPS}
    row |= {"pairs_per_s_ratio": rate[OURS] / rate[THEIRS], "all_pairs_ap": ours, "two_tower_ap": theirs}
    row |= {"ap_difference": lead, "ap_difference_low": ends[2].low, "ap_difference_high": ends[2].high}
    row |= {"wins_of_seeds": f"{int((curves[OURS][:, -1] > curves[THEIRS][:, -1]).sum())}/{settings.seeds}"}
    row |= {"seconds_each": settings.seconds, "trunk": settings.trunk, "crop": settings.crop}
    met = share is not None and share <= SHARE_BAR and ends[2].low > 0 and rate[OURS] > rate[THEIRS]
    # a side that never gets there is said to need more than the whole time
    finish("all_pairs", 2.0 if share is None else share, "of two_tower's time to its final AP", SHARE_BAR, met, row)


def run(folder: Path | None, settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch, "data")
            write_sample(folder, seed=0, manuscripts=24, pages=(24, 24))
        train, val = open_rows(make_store(folder, Path(scratch, "store"), settings.size))
        train = pairable(train)
        validation = Validation(settings, train, val)
        counts = validation.counts
        print(f"{len(train)} train images; {counts.positives} positive and {counts.negatives} negative pairs", end=" ")
        print(f"of {counts.queries} validation queries; {CLASSES} x {IMAGES} crops of {settings.crop} px a step")
        verdict(settings, validation, compete(settings, train, validation))


def main() -> None:
    default = Settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of class folders; default: sample pages")
    parser.add_argument("--seconds", type=float, default=default.seconds, help="training time of a side and seed")
    for name in ("seeds", "checks", "size", "crop", "archive"):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name))
    for name in ("trunk", "weights"):
        parser.add_argument(f"--{name}", default=getattr(default, name))
    given = vars(parser.parse_args())
    run(given.pop("data"), Settings(**given))


if __name__ == "__main__":
    main()
