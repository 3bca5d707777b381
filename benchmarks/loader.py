"""A batch from the store against decoding and augmenting it, and what the step's own augmentation costs.

Both sides end in a normalised float32 batch (32, 3, 224, 224) in one process: torchvision's ``ImageFolder`` decodes
JPEGs and applies policy ``pages`` to each sample; the store is one fancy index. Then the augmentation on the device
as a share of one training step of the default trunk. ``python benchmarks/loader.py [--data FOLDER]``; without a folder
it makes sample pages.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _bench import best_time, finish

from twinfolio.data.augmentation import augment_image
from twinfolio.data.batch_augmentation import augment_batch
from twinfolio.data.store import Store, fit_image
from twinfolio.data.store_plan import Rendering
from twinfolio.data.store_writer import write_store
from twinfolio.sample.generate import write_sample

BATCH, SIZE, CROP, TRUNK = 32, 224, 128, "tf_efficientnet_lite0"
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
RATIO_BAR, SHARE_BAR = 10.0, 0.10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of class folders with JPEGs; default: sample pages")
    folder = parser.parse_args().data
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch, "data")
            write_sample(folder, seed=0, manuscripts=8, pages=(24, 24))
        decoding = decoding_side(folder)
        store = make_store(folder, Path(scratch, "store"))
        reading = store_side(store)
        augmentation, step = step_sides(store)
    ratio, share = decoding / reading, augmentation / step
    print(f"one batch of {BATCH} at {SIZE} px: ImageFolder + policy pages {decoding * 1e3:.1f} ms,", end=" ")
    print(f"store {reading * 1e3:.2f} ms: {ratio:.0f} x (bar {RATIO_BAR:g} x)")
    print(f"crop {CROP} + jitter + grey {augmentation * 1e3:.1f} ms of a {step * 1e3:.0f} ms step of {TRUNK}:", end=" ")
    print(f"{share:.1%} (bar {SHARE_BAR:.0%})")
    sides = {
        "image_folder_ms": decoding * 1e3,
        "store_ms": reading * 1e3,
        "augmentation_ms": augmentation * 1e3,
        "training_step_ms": step * 1e3,
        "augmentation_share": share,
        "augmentation_share_bar": SHARE_BAR,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
    finish("loader", ratio, "x", RATIO_BAR, ratio >= RATIO_BAR and share <= SHARE_BAR, sides)


def decoding_side(folder: Path) -> float:
    """Seconds a batch: decode, fit, augment and normalise each sample, then stack."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    draws = np.random.default_rng(0)

    def augment(image) -> np.ndarray:
        return augment_image(fit_image(np.asarray(image), SIZE, "pad"), "pages", int(draws.integers(2**63)))

    to_tensor = v2.Compose(
        [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN.tolist(), STD.tolist())]
    )
    images = ImageFolder(str(folder), transform=lambda image: to_tensor(augment(image)))
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=True, drop_last=True, num_workers=0)
    batches = iter(loader)
    check(next(batches)[0])
    return best_time(lambda: check(next(batches)[0]), min(5, len(loader) - 1))


def make_store(folder: Path, target: Path) -> Store:
    """The folder as a store of train rows without copies."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    ids = [path.removesuffix(".jpg") for path in paths]
    manifest = pd.DataFrame(
        {
            "image_id": ids, "path": paths, "label": [path.split("/")[0] for path in paths], "split": "train",
            "group": ids, "width": SIZE, "height": SIZE, "sha256": "", "cluster": ids, "within_group": 0,
        }
    )  # fmt: skip
    write_store(manifest, folder, target, Rendering(size=SIZE, tiles=1), max_copies=0)
    return Store.open(target / "train")


def store_side(store: Store) -> float:
    """Seconds a batch: one fancy index at random rows, then float and normalised."""
    draws = np.random.default_rng(0)
    mean, std = 255 * MEAN.view(1, 3, 1, 1), 255 * STD.view(1, 3, 1, 1)

    def batch() -> None:
        images = torch.from_numpy(store.batch(draws.choice(len(store), BATCH, replace=False))).permute(0, 3, 1, 2)
        check(images.float().sub_(mean).div_(std))

    batch()
    return best_time(batch, 30)


def step_sides(store: Store) -> tuple[float, float]:
    """Seconds of the batch augmentation, and of a training step (forward, backward, update) without it."""
    import timm

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = torch.from_numpy(store.batch(np.arange(BATCH))).permute(0, 3, 1, 2).to(device)
    generator = torch.Generator().manual_seed(0)
    model = timm.create_model(TRUNK, pretrained=False, num_classes=24).to(device)
    optimiser = torch.optim.AdamW(model.parameters())
    targets = torch.arange(BATCH, device=device) % 24

    def augment() -> torch.Tensor:
        images = augment_batch(rows, crop=CROP, colour_jitter=0.4, grey=0.3, generator=generator)
        wait(device)
        return images

    crops = augment()

    def step() -> None:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(crops), targets).backward()
        optimiser.step()
        wait(device)

    step()
    return best_time(augment, 20), best_time(step, 5)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def check(batch: torch.Tensor) -> None:
    if batch.shape != (BATCH, 3, SIZE, SIZE) or batch.dtype != torch.float32:
        raise RuntimeError(f"not the batch that was agreed on: {tuple(batch.shape)} {batch.dtype}")


if __name__ == "__main__":
    main()
